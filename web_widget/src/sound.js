// A short two-note beep made on the spot: nothing to download, nothing a policy could block.
let audio = null;

export const beep = () => {
  try {
    audio ||= new AudioContext();
    const now = audio.currentTime;
    for (const [after, pitch] of [[0, 660], [0.09, 880]]) {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.06, now + after);
      volume.gain.exponentialRampToValueAtTime(0.0001, now + after + 0.16);
      tone.connect(volume).connect(audio.destination);
      tone.start(now + after);
      tone.stop(now + after + 0.17);
    }
  } catch {
    // No sound here: the badge still counts.
  }
};
