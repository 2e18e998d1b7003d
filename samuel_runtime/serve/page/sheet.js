// The lead sheet above the waveform: every chord where it begins, to be pressed and corrected.

export class SheetView {
  // `onEdit(sheet)` is called with a corrected copy.
  constructor(lane, onEdit) {
    this.lane = lane;
    this.onEdit = onEdit;
    this.edited = new Set();
  }

  show(sheet, symbols) {
    this.sheet = sheet;
    this.symbols = [...symbols];
    this.edited.clear();
    this.draw();
  }

  clear() {
    this.sheet = null;
    this.lane.replaceChildren();
  }

  draw(focused = -1) {
    const { chords, duration_s } = this.sheet;
    this.lane.replaceChildren(
      ...chords.map(({ start_s }, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = this.symbols[index];
        button.setAttribute("aria-label", `Chord ${this.symbols[index]} at ${start_s.toFixed(1)} s, change it`);
        button.classList.toggle("edited", this.edited.has(index));
        button.style.left = `${(100 * start_s) / duration_s}%`;
        button.addEventListener("click", () => this.edit(index, button));
        return button;
      }),
    );
    if (focused >= 0) this.lane.children[focused]?.focus();
  }

  edit(index, button) {
    const input = document.createElement("input");
    input.value = this.symbols[index];
    input.setAttribute("aria-label", "Another chord, or nothing to remove it");
    input.style.left = button.style.left;
    let ended = false;
    const end = (commit) => {
      if (ended) return;
      ended = true;
      const name = input.value.trim();
      if (commit && name !== this.symbols[index]) this.replace(index, name);
      this.draw(index);
    };
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // else the key presses the chord that is focused next
      end(event.key === "Enter");
    });
    input.addEventListener("blur", () => end(true));
    button.replaceWith(input);
    input.focus();
    input.select();
  }

  replace(index, name) {
    const chords = this.sheet.chords.map((chord, at) => (at === index ? { ...chord, name, confidence: 1 } : chord));
    this.symbols[index] = name;
    this.edited.add(index);
    if (!name) {
      chords.splice(index, 1);
      this.symbols.splice(index, 1);
      this.edited = new Set([...this.edited].filter((at) => at !== index).map((at) => (at > index ? at - 1 : at)));
    }
    this.sheet = { ...this.sheet, chords };
    this.onEdit(this.sheet);
  }
}
