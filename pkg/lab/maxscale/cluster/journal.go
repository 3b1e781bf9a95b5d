package cluster

import "encoding/json"

// Remembered is what a monitor leaves to the next one of its name: a PATCH makes a new one, as
// a restart does. Positions are not in it, which is why a new monitor cannot replace a
// primary that is down.
type Remembered struct {
	Primary string `json:"master_server"`
}

// Remembered is what the next monitor of this name is given.
func (m *Monitor) Remembered() Remembered {
	m.turn.Lock()
	defer m.turn.Unlock()
	return Remembered{Primary: m.memory.Primary}
}

// Journal is the text of a journal. Its format is not MaxScale's.
func (r Remembered) Journal() ([]byte, error) { return json.Marshal(r) }

// ReadJournal reads the text of a journal. One that is broken is none.
func ReadJournal(text []byte) Remembered {
	var r Remembered
	if err := json.Unmarshal(text, &r); err != nil {
		return Remembered{}
	}
	return r
}

func (r Remembered) memory(s Settings) Memory {
	if _, ok := s.server(r.Primary); !ok {
		return Memory{}
	}
	return Memory{Primary: r.Primary}
}
