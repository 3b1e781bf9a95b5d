package wire

// Capabilities are what both sides of a connection agree on (page "1 - Connecting,
// Capabilities"): MySQL's 32 bits below, MariaDB's own 32 bits above.
type Capabilities uint64

// The capabilities that something here depends on.
const (
	// LongPassword is set by MySQL's programs. Where it is not, MariaDB's own bits follow.
	LongPassword       Capabilities = 1 << 0
	FoundRows          Capabilities = 1 << 1
	LongFlag           Capabilities = 1 << 2
	ConnectWithDB      Capabilities = 1 << 3
	NoSchema           Capabilities = 1 << 4 // names are not qualified by a database
	LocalFiles         Capabilities = 1 << 7
	Protocol41         Capabilities = 1 << 9
	Interactive        Capabilities = 1 << 10
	TLS                Capabilities = 1 << 11
	Transactions       Capabilities = 1 << 13
	SecureConnection   Capabilities = 1 << 15
	MultiStatements    Capabilities = 1 << 16
	MultiResults       Capabilities = 1 << 17
	PSMultiResults     Capabilities = 1 << 18
	PluginAuth         Capabilities = 1 << 19
	ConnectAttributes  Capabilities = 1 << 20
	PluginAuthLength   Capabilities = 1 << 21 // the answer to the challenge has any length
	ExpiredPasswords   Capabilities = 1 << 22
	SessionTrack       Capabilities = 1 << 23
	DeprecateEOF       Capabilities = 1 << 24
	BulkOperations     Capabilities = 1 << 34
	ExtendedMetadata   Capabilities = 1 << 35
	CacheMetadata      Capabilities = 1 << 36
	mysqlBits                       = 1<<32 - 1
	formatCapabilities              = Protocol41 | SecureConnection
)

// What MaxScale 24.02 offers to clients, as measured.
const (
	// Plain is offered by a service of readwritesplit or readconnroute without filters.
	Plain Capabilities = 0x1c<<32 | 0x01bfffde
	// Rewriting is offered by a service that looks into answers: one with the masking
	// filter, or of schemarouter. It has no DeprecateEOF.
	Rewriting Capabilities = 0x4<<32 | 0x00bfffde
)

// Has reports whether all of these are set.
func (c Capabilities) Has(all Capabilities) bool { return c&all == all }

// Status are the flags of a server in packets that end an answer (page "OK_Packet").
type Status uint16

// The flags that something here depends on.
const (
	InTransaction         Status = 0x0001
	Autocommit            Status = 0x0002
	MoreResults           Status = 0x0008
	CursorExists          Status = 0x0040
	LastRowSent           Status = 0x0080
	InReadOnlyTransaction Status = 0x2000
	StateChanged          Status = 0x4000 // what was tracked follows
)

// Has reports whether all of these are set.
func (s Status) Has(all Status) bool { return s&all == all }

// Command is the first byte of what a client sends (page "2 - Text Protocol").
type Command byte

// Commands of clients.
const (
	Quit            Command = 0x01
	InitDB          Command = 0x02
	Query           Command = 0x03
	FieldList       Command = 0x04
	CreateDB        Command = 0x05
	DropDB          Command = 0x06
	Refresh         Command = 0x07
	Shutdown        Command = 0x08
	Statistics      Command = 0x09
	ProcessInfo     Command = 0x0a
	ProcessKill     Command = 0x0c
	Debug           Command = 0x0d
	Ping            Command = 0x0e
	ChangeUser      Command = 0x11
	BinlogDump      Command = 0x12
	RegisterSlave   Command = 0x15
	Prepare         Command = 0x16
	Execute         Command = 0x17
	SendLongData    Command = 0x18
	CloseStatement  Command = 0x19
	ResetStatement  Command = 0x1a
	SetOption       Command = 0x1b
	Fetch           Command = 0x1c
	ResetConnection Command = 0x1f
	BulkExecute     Command = 0xfa
)

// Silent reports whether a server does not answer this command.
func (c Command) Silent() bool { return c == Quit || c == CloseStatement || c == SendLongData }
