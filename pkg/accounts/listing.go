package accounts

// Listing is a document in words, for programs and people.
type Listing struct {
	Databases []string `json:"databases"`
	Accounts  []Listed `json:"accounts"`
}

// Listed is an account in words.
type Listed struct {
	Name   string   `json:"name"`
	Client string   `json:"client"`
	Rights string   `json:"rights"`
	Limits []string `json:"limits"`
}

// Listing says which databases and accounts there are.
func (d *Document) Listing() Listing {
	l := Listing{Databases: []string{}, Accounts: []Listed{}}
	for _, one := range d.Databases {
		l.Databases = append(l.Databases, one.Name)
	}
	for _, one := range d.Accounts {
		l.Accounts = append(l.Accounts, Listed{one.Name, one.Client, Said(one.Rights), append([]string{}, one.Limits...)})
	}
	return l
}
