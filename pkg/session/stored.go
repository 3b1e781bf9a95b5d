package session

// Stored is a version of a session as CAS holds it.
type Stored struct {
	// Hash identifies this version: 64 hexadecimal digits that CAS computed.
	Hash string `json:"hash"`
	// Text is the document, with the creator that CAS added.
	Text string `json:"session"`
}

// Signature is one author's, over the message that CAS wants signed for a document.
type Signature struct {
	// Signer is the public key: SPKI in PEM.
	Signer string `json:"signer"`
	// Signature is in base64.
	Signature string `json:"signature"`
}
