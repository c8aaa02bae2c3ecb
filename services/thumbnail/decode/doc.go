// Package decode makes thumbnails out of hostile bytes. It is what runs in the
// child process: it reads one object by ranges through its standard input and
// output, makes images of it, writes them there and is gone. It expects to die
// of what it is given, by limits of memory and time or by a panic in a library;
// package jail, which starts it, makes a failed thumbnail of that.
//
// # What is decoded by what
//
// JPEG, PNG, GIF, WebP, BMP and TIFF by Go; large JPEG, HEIC and AVIF by
// vipsthumbnail, videos by ffmpeg and PDF by pdftoppm, where the system has
// them. Those programs are children of this process and live under the same
// limits. They get the object through a pipe or, where they need to seek, from
// an HTTP server in this process on loopback, which in a network namespace of
// its own is all the network there is.
//
// SVG is drawn by librsvg, through rsvg-convert or vipsthumbnail. It runs no
// scripts, and what comes through a pipe has no place from which it could name
// other files; should it find a way, the Cell has neither files nor a network.
//
// Thumbnails may be kept as WebP or AVIF. Encoders of WebP in Go alone are young,
// and there is none of AVIF: vipsthumbnail makes both, for the manager, in a
// process like this one.
package decode

// Version is raised when something that failed before may succeed now: then what
// had failed is tried again when somebody looks at it.
const Version = 2
