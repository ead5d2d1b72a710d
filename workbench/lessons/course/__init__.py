"""One file per lesson, found by this folder; each defines LESSON and is named like its texts and its notebook."""
