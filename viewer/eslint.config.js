import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["node_modules/"] },
  js.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: {
      "prefer-const": "error",
      "no-var": "error",
      eqeqeq: "error",
      curly: ["error", "multi-line"],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Names come from strangers: set textContent." },
      ],
    },
  },
  {
    files: ["build.js", "tests/**"],
    languageOptions: { globals: { ...globals.node } },
    rules: { "max-lines-per-function": "off" },
  },
];
