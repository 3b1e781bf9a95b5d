// Package confidb is the root of the module; it holds no code. The commands are
// in cmd, what they do is in pkg. See ARCHITECTURE.md.
package confidb
