package lint

import (
	"slices"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/session"
)

// finder finds the places in a session to which a rule applies. The functions that
// make finders are not inlined, or each rule would get a copy of them.
type finder func(*input) []hit

// input is what a rule looks at: one session, and those that were given with it.
type input struct {
	*layout.Set
	// peers are the inputs of the sessions that were given together.
	peers map[*layout.Set]*input
	// seen are the placeholders, and wanted the certificates whose keys are used; nil until
	// somebody asks.
	seen   []layout.Use
	wanted map[string]bool
	// applied is the same session as CAS applies it. In the input that it holds it is
	// the zero value.
	applied applied
}

func newInput(s *session.Session, all []*session.Session) *input {
	return &input{Set: layout.New(s, all)}
}

// peer is the input of another session of the group.
func (in *input) peer(other *layout.Set) *input {
	if in.peers == nil {
		in.peers = map[*layout.Set]*input{in.Set: in}
	}
	if in.peers[other] == nil {
		in.peers[other] = &input{Set: other, peers: in.peers}
	}
	return in.peers[other]
}

// applied is a session in which references are followed, and what could not be.
type applied struct {
	input      *input
	references []session.Reference
	// err is *session.Errors: what makes no sense where it is put.
	err error
}

// inputs follows the references of sessions that belong together.
func inputs(sessions []*session.Session) []*input {
	var all []*input
	var effective []*session.Session
	written := layout.NewGroup(sessions)
	peers := map[*layout.Set]*input{}
	for _, s := range sessions {
		in := &input{Set: written.Of(s), peers: peers}
		peers[in.Set] = in
		followed, references, err := s.Effective(sessions)
		effective = append(effective, followed)
		in.applied = applied{references: references, err: err}
		all = append(all, in)
	}
	group := layout.NewGroup(effective)
	for i, in := range all {
		in.applied.input = &input{Set: group.Of(effective[i])}
	}
	return all
}

// followed reports whether a rule looks at what a session says once its references are
// followed. The others are about the document, its secrets and these references.
func followed(code string) bool {
	switch code {
	case "CDB1007", "CDB1016", "CDB1017", "CDB1018":
		return false
	}
	return slices.Contains([]string{"CDB1", "CDB2", "CDB4", "CDB6"}, code[:4])
}

// hit is a place that a rule found.
type hit struct{ path, got string }

// Codes of problems that no finder finds: reading the document or its suppressions does.
const (
	codeUnreadable    = "CDB0000"
	codeIncomplete    = "CDB0001"
	codeUnknown       = "CDB0002"
	codeExpired       = "CDB0003"
	codeNothing       = "CDB0004"
	codeUnfilled      = "CDB0005"
	codeNoPlatforms   = "CDB2002"
	codeMixed         = "CDB2003"
	codeBareID        = "CDB2004"
	codeUnknownSecret = "CDB3023"
)

// finders has for each rule of rules.yaml what finds its problems. It is nil where
// that is done elsewhere.
func finders() map[string]finder {
	return map[string]finder{
		codeUnreadable: nil,
		codeIncomplete: nil,
		codeUnknown:    nil,
		codeExpired:    nil,
		codeNothing:    nil,
		codeUnfilled:   findUnfilled,

		"CDB1001": findMode("none"),
		"CDB1002": findMode("maa"),
		"CDB1003": findUnattested,
		"CDB1004": findStrayDash,
		"CDB1005": eachVariant(signerOnly),
		"CDB1006": eachVariant(anySecurityVersion),
		"CDB1007": findDeprecatedMeasurements,
		"CDB1008": findTolerated("debug-mode"),
		"CDB1009": findTolerated("outdated-tcb"),
		"CDB1010": findTolerated("insecure-configuration"),
		"CDB1011": findTolerated("hyperthreading", "insecure-igpu", "software-hardening-needed", "aepic-leak", "local-attestation-trust-cas-tcb", "maa-managed-tcb"),
		"CDB1012": findWildcard,
		"CDB1013": findAdvisories,
		"CDB1014": eachVariant(signedPublicly),
		"CDB1015": eachVariant(zeroMeasurement),
		"CDB1016": findImportedMeasurement,
		"CDB1017": findImportedPolicy,
		"CDB1018": findUnknownPolicy,
		"CDB1019": findTwoPrograms,

		"CDB2001":       findUnplaced,
		codeNoPlatforms: nil,
		codeMixed:       nil,
		codeBareID:      nil,
		"CDB2005":       eachPlaced(placedAlone),
		"CDB2006":       eachPlaced(ignoredByMode),
		"CDB2007":       eachPlaced(ignoredByLocal),
		"CDB2008":       findDifferentPlatforms,
		"CDB2009":       findRepeatedPlatforms,

		"CDB3001":         findInjectedAuthority,
		"CDB3002":         findExportedAuthority,
		"CDB3003":         findProvidedTooMuch,
		"CDB3004":         findProvidedAll(false),
		"CDB3005":         findProvidedAll(true),
		"CDB3006":         findInCommand,
		"CDB3007":         findInEnvironment,
		"CDB3008":         eachExport(claimable),
		"CDB3009":         eachExport(toNamespace),
		"CDB3010":         eachSecret(public),
		"CDB3011":         findImportsInVain(true),
		"CDB3012":         eachExport(exportedInVain),
		"CDB3013":         eachSecret(lostAuthority),
		"CDB3014":         findWrittenSecrets,
		"CDB3015":         findLegacyChains,
		"CDB3016":         eachSecret(weakKey),
		"CDB3017":         eachCertificate(withoutSAN),
		"CDB3018":         eachCertificate(endless),
		"CDB3019":         eachCertificate(longLived),
		"CDB3020":         findDNS,
		"CDB3021":         eachCertificate(withoutEndpoint),
		"CDB3022":         eachSecret(short),
		codeUnknownSecret: nil,
		"CDB3024":         findUnused,
		"CDB3025":         eachCertificate(selfSigned),
		"CDB3026":         findImportsInVain(false),
		"CDB3027":         eachExport(exportedOutside),
		"CDB3028":         findReadableSecrets,

		"CDB4001": findAny("read", func(p session.AccessPolicy) []session.AccessRule { return p.Read }),
		"CDB4002": findAny("update", func(p session.AccessPolicy) []session.AccessRule { return p.Update }),
		"CDB4003": findAny("create_sessions", func(p session.AccessPolicy) []session.AccessRule { return p.CreateSessions }),
		"CDB4004": findAny("list_sessions", func(p session.AccessPolicy) []session.AccessRule { return p.ListSessions }),
		"CDB4005": findLonelyUpdate,
		"CDB4006": findWeakThreshold,
		"CDB4007": findUnsaidCreators,

		"CDB5001": findGuessableName,
		"CDB5002": findCreator,
		"CDB5003": findPredecessor,
		"CDB5004": findOldLanguage,

		"CDB6001": findDLOpen,
		"CDB6002": findHostArguments,
		"CDB6003": findHostEnvironment,
		"CDB6004": findLoosePermissions,
		"CDB6005": eachServer(unprotectedData),
		"CDB6006": eachServer(unprotectedTemporaries),
		"CDB6007": eachVolume(authenticatedOnly),
		"CDB6008": eachVolume(writtenKey),
		"CDB6009": findRollback,
		"CDB6010": findOpenAccounts,
		"CDB6011": eachServer(plainConnections),
		"CDB6012": eachServer(grantsEverything),
		"CDB6013": eachServer(of(layout.HostSettings)),
		"CDB6014": eachServer(of(layout.SettingsElsewhere)),
		"CDB6015": eachServer(of(layout.HostCode)),
		"CDB6016": eachServer(of(layout.VainShield)),
		"CDB6017": findAnonymousClients,
		"CDB6018": findTrustedSockets,
		"CDB6019": findLostPeers,
		"CDB6020": findOneRuleForTwo,
		"CDB6021": eachSection(layout.OpenRoute),
		"CDB6022": eachSection(logsEverything),
		"CDB6023": eachSection(usesRoot),
		"CDB6024": findClearMetrics,
		"CDB6025": findCuriousAccounts,
		"CDB6026": findSharedIdentities,
	}
}
