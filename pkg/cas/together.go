package cas

import "sync"

// atOnce is how many questions a CAS is asked at a time: each has a connection of its own.
const atOnce = 8

// SideBySide asks n questions, some at a time, and returns when all are answered. Each has
// its own number, from 0 on.
func SideBySide(n int, ask func(number int)) {
	numbers := make(chan int)
	var asking sync.WaitGroup
	for range min(n, atOnce) {
		asking.Go(func() {
			for number := range numbers {
				ask(number)
			}
		})
	}
	for number := range n {
		numbers <- number
	}
	close(numbers)
	asking.Wait()
}
