// Instructions that are too long for the window are cut, with a button that shows the rest.
const text = document.getElementById("instructions");
const heading = text.parentElement;
const button = document.getElementById("unfold");
const unfolded = () => button.getAttribute("aria-expanded") === "true";

function offer() {
  button.hidden = !unfolded() && heading.scrollHeight <= heading.clientHeight + 1;
}

button.addEventListener("click", () => {
  button.setAttribute("aria-expanded", !unfolded());
  button.textContent = unfolded() ? "less" : "… more";
  heading.scrollTop = 0;
  offer();
});

const sizes = new ResizeObserver(offer);
sizes.observe(text); // other instructions, or narrower lines
sizes.observe(heading); // fewer lines
