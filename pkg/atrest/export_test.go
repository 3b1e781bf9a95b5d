package atrest

// Judged says what a file of these samples is.
func Judged(name string, samples ...[]byte) (what string, clear, known bool) {
	what, s := file{name: name, samples: samples}.judge()
	return what, s == inClear, s != unclear
}
