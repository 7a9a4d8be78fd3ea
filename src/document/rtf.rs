//! RTF (1.9): the text, in whatever encodings it is in.

mod characters;
mod words;
