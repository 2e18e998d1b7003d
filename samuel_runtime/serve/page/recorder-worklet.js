// Passes the microphone's samples on, in the audio thread.
class Tap extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage(input[0].slice());
    return true;
  }
}
registerProcessor("tap", Tap);
