// Package verbs holds what both plugins do: install and verify. The plugins themselves
// only give it flags in their own style.
package verbs
