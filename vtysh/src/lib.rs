//! The shell: command tree, completion, help, and rendering over the API's types.
