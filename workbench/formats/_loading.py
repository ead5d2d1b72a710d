"""The half of every load.py that is the same: run as a program, it compares the model with its recorded output."""

COMPARES_ITSELF = """

if __name__ == "__main__":
    probe = numpy.load(here / "probe.npz")
    output = open_model()({each["name"]: probe["input_" + each["name"]] for each in card["inputs"]})
    gap = float(abs(output - probe["output"]).max() / max(1.0, abs(probe["output"]).max()))
    print(f"{card['title']}: output {output.shape}, gap to the recorded output {gap:.2e}")
    sys.exit(gap > card["probe"]["tolerance"])
"""
