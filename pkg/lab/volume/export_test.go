package volume

// Kill ends the use of a volume as the end of its process does.
func (s *Store) Kill() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.release()
}

// SetLongest sets the size from which the log is written anew.
func (s *Store) SetLongest(size int64) { s.longest = size }

// The parts of a record that a fuzz test needs.
func Recode(text []byte) (again []byte, ok bool) {
	r, err := decode(text)
	if err != nil {
		return nil, false
	}
	return r.encode(), true
}
