package cas

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/lab/enclave"
)

// Bounds of one exchange with an enclave, and of all at once.
const (
	exchangeTimeout = 30 * time.Second
	maxExchanges    = 64
	challengeSize   = 32
	publicKeySize   = 32
)

// ServeEnclaves answers enclaves until ctx ends.
func (c *CAS) ServeEnclaves(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, maxExchanges)
	for {
		free <- struct{}{}
		connection, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting enclaves: %w", err)
		}
		running.Go(func() {
			defer func() { <-free }()
			c.exchange(ctx, connection)
		})
	}
}

// exchange answers one enclave. Its challenge is random and lives no longer than
// the connection, so no quote can be used twice.
func (c *CAS) exchange(ctx context.Context, connection net.Conn) {
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	connection.SetDeadline(time.Now().Add(exchangeTimeout))
	challenge := make([]byte, challengeSize)
	rand.Read(challenge) // never fails
	if json.NewEncoder(connection).Encode(enclave.Challenge{Challenge: challenge}) != nil {
		return // a probe of the port
	}
	line, err := bufio.NewReader(io.LimitReader(connection, enclave.MaxMessage)).ReadBytes('\n')
	if err != nil {
		return // the same, or more than is read
	}
	json.NewEncoder(connection).Encode(c.answer(line, challenge)) // an enclave that went away gets nothing
}

func (c *CAS) answer(line, challenge []byte) enclave.Answer {
	var request enclave.Request
	if err := json.Unmarshal(line, &request); err != nil {
		c.Log.Printf("enclave: refused: the request is no JSON")
		return enclave.Answer{Errors: []string{"The request cannot be read"}}
	}
	answer, err := c.sealed(&request, challenge)
	if err != nil {
		c.Log.Printf("enclave %.200q: refused: %q", request.ConfigID, err.Error())
		return enclave.Answer{Errors: refused(err).messages}
	}
	c.Log.Printf("enclave %.200q: configured", request.ConfigID)
	return answer
}

func (c *CAS) sealed(request *enclave.Request, challenge []byte) (enclave.Answer, error) {
	if len(request.PublicKey) != publicKeySize {
		return enclave.Answer{}, rejected(fmt.Sprintf("The enclave's key has %d bytes - Expected %d", len(request.PublicKey), publicKeySize))
	}
	configuration, err := c.configure(request, challenge)
	if err != nil {
		return enclave.Answer{}, err
	}
	publicKey, sealed, err := enclave.SealConfiguration(configuration, request, challenge)
	if err != nil {
		return enclave.Answer{}, rejected("The enclave's key cannot be used: " + err.Error())
	}
	return enclave.Answer{PublicKey: publicKey, Sealed: sealed}, nil
}

// notConfigured refuses without saying anything about the enclave.
func notConfigured(cause string) error {
	return refuse(http.StatusNotFound, "Failed to retrieve service attestation configuration", cause)
}

// configure decides about a request and fills in its service. One transaction
// does both, so that what is given is what was decided about.
func (c *CAS) configure(request *enclave.Request, challenge []byte) (*enclave.Configuration, error) {
	name, service, err := enclave.SplitConfigID(request.ConfigID)
	if err != nil {
		return nil, notConfigured(err.Error())
	}
	var result attested
	result.Result, result.err = c.genuine(request, challenge)
	var out *enclave.Configuration
	err = c.store.update(func(t *transaction) (err error) {
		if len(request.Uses) > 0 {
			out, err = t.remember(name, service, result, request.Uses)
		} else {
			out, err = t.configure(name, service, result)
		}
		return err
	})
	return out, err
}
