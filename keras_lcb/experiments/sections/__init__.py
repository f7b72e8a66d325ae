"""The declared sections, a file each that declares `SECTION`; see `experiments.section`."""
