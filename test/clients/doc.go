// Package clients tests that the forms in which clients are given their settings work with the
// drivers that read them. The clients are the examples of examples/clients.
package clients
