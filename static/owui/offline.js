// The page that stands for one that could not be reached: tries again as soon as there is a network.
addEventListener("online", () => location.reload());
