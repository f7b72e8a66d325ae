/* keras_lcb (Apache-2.0), with uPlot (MIT, Leon Sorokin) and d3-scale-chromatic, d3-interpolate, d3-color (ISC, Mike Bostock) */
"use strict";(()=>{})();
