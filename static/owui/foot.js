// Runs before the first paint, right behind the messages: a chat opens at its end, not at its beginning and then there.
document.getElementById("scroll").scrollTop = 1e9;
