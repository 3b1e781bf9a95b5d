package atrest

// Named is a file of a listing for tests, by its samples.
func Judged(name string, samples ...[]byte) (what string, clear, known bool) {
	what, s := file{name: name, samples: samples}.judge()
	return what, s == inClear, s != unclear
}
