// Nothing of its own: a target needs a source to have precompiled headers.
