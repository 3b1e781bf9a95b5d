package verify

import (
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/topology"
)

// Level is what a link of the chain is about.
type Level string

// The levels, from the machines to the database.
const (
	LevelPlatform Level = "platform"
	LevelCAS      Level = "cas"
	LevelSession  Level = "session"
	LevelRelease  Level = "release"
	LevelDatabase Level = "database"
)

// link is one link of the chain: what is asked, and who judges it.
type link struct {
	// ID names the check. It is that of the finding, where the judge makes one only, and
	// of the skip that stands for all of them.
	ID string
	// Level is what the link is about.
	Level Level
	// Needs are the links without which this one proves nothing: unless they are
	// accepted it is skipped. They come earlier in the table.
	Needs []string
	// Title is a statement that is true when the check passes.
	Title string
	// Of is the role of the members for each of which the link is judged; empty means
	// once for the release. Unless Optional, a release without such a member is a skip.
	Of       topology.Role
	Optional bool
	// In is the only architecture of which it is a link; empty means all.
	In topology.Architecture
	// Several means that it is a link only where there are several databases.
	Several bool
	// Each means that it is judged for each database of the release.
	Each bool
	// Unmet is what it means for those that need this link that it is not accepted.
	Unmet string
	// Judge looks at what was seen. The session is that of the member, or empty.
	Judge func(a *appraisal, l link, member topology.Session) check.Report
}

// The links that others need.
const (
	casAttested    = "cas-attested"
	probeStatement = "probe-statement"
	onePrimary     = "rep-05"
	frontStatement = "front-statement"
)

// links are the chain of the proof, in the order of the report.
func links() []link {
	return []link{
		{
			ID: "platforms-current", Level: LevelPlatform, Judge: judgePlatforms,
			Title: "the sessions admit exactly the SGX nodes that the cluster has",
		},
		{
			ID: "cas-attested", Level: LevelCAS, Judge: judgeCAS,
			Title: "the CAS is a genuine, current enclave that the policy accepts",
			Unmet: "the CAS is not proven, so its answers prove nothing", // what an untrusted CAS says is worth nothing
		},
		{
			ID: "session-namespace", Level: LevelSession, Needs: []string{casAttested}, Of: topology.Namespace, Optional: true, Judge: judgeStored,
			Title: "the session that owns the names in CAS is the one that was created",
		},
		{
			ID: "session-client", Level: LevelSession, Needs: []string{casAttested}, Of: topology.Client, Judge: judgeStored,
			Title: "the session of the clients in CAS is the one that was created",
		},
		{
			ID: "session-database", Level: LevelSession, Needs: []string{casAttested}, Of: topology.Database, Judge: judgeStored,
			Title: "the session of the database in CAS is the one that was created",
		},
		{
			ID: "session-maxscale", Level: LevelSession, Needs: []string{casAttested}, Of: topology.MaxScale, Optional: true, Judge: judgeStored,
			Title: "the session of MaxScale in CAS is the one that was created",
		},
		{
			ID: "session-application", Level: LevelSession, Needs: []string{casAttested}, Of: topology.AnyApplication, Optional: true, Judge: judgeStored,
			Title: "the sessions of your own clients in CAS are those that were created",
		},
		{
			ID: "client-session-policy", Level: LevelSession, Of: topology.Client, Judge: judgeStrength,
			Title: "the client session demands attested enclaves on listed platforms",
		},
		{
			ID: "database-session-policy", Level: LevelSession, Of: topology.Database, Judge: judgeStrength,
			Title: "the database session demands attested enclaves on listed platforms",
		},
		{
			ID: "maxscale-session-policy", Level: LevelSession, Of: topology.MaxScale, Optional: true, Judge: judgeStrength,
			Title: "MaxScale's session demands attested enclaves on listed platforms",
		},
		{
			ID: "application-session-policy", Level: LevelSession, Of: topology.AnyApplication, Optional: true, Judge: judgeApplication,
			Title: "the sessions of your own clients demand attested enclaves on listed platforms",
		},
		{
			ID: "guests", Level: LevelSession, Judge: judgeGuests,
			Title: "only the clients of this release get what opens the database",
		},
		{
			ID: guestsOutside, Level: LevelSession, Judge: judgeOutside,
			Title: "nobody who runs outside of an enclave may come in",
		},
		{
			ID: "enc-07", Level: LevelSession, Of: topology.Database, Judge: judgeVolumes,
			Title: "the data directory and tmpdir are on volumes that only the enclave can read, with rollback protection",
		},
		{
			ID: "rep-03", Level: LevelSession, Each: true, In: topology.Replicated, Judge: judgeHistory,
			Title: "what it keeps of the database that it follows, with a password in clear, is on volumes that only the enclave can read",
		},
		{
			ID: "release-deployed", Level: LevelRelease, Judge: judgeRelease,
			Title: "the Helm release is deployed",
		},
		{
			ID: "release-manifest", Level: LevelRelease, Judge: judgeManifest,
			Title: "Helm has the manifest that was installed",
		},
		{
			ID: "release-session", Level: LevelRelease, Judge: judgePods,
			Title: "every pod of the release runs under the database session and this CAS, as it was installed",
		},
		{
			ID: "release-objects", Level: LevelRelease, Judge: judgeObjects,
			Title: "what makes the pods, and the Services, are as they were installed",
		},
		{
			ID: "release-endpoints", Level: LevelRelease, Judge: judgeEndpoints,
			Title: "behind the Services are the pods of the release, and one database",
		},
		{
			// only where it was asked for; what it says is the host's word
			ID: "disk-01", Level: LevelRelease, Optional: true, Judge: judgeDisk,
			Title: "nothing lies on the volumes in clear that should not, by the first pages of each file",
		},
		{
			ID: "probe-statement", Level: LevelDatabase, Each: true, Needs: []string{casAttested}, Judge: judgeStatement,
			Title: "an attested client of the client session looked at the database, for this run",
			Unmet: "no statement of the probe that counts",
		},
		{
			// what the probe found stands in its statement, and counts only with it
			ID: "database-seen", Level: LevelDatabase, Each: true, Needs: []string{probeStatement}, Judge: judgeDatabase,
			Title: "the database is set up as promised",
		},
		{
			ID: "data-01", Level: LevelDatabase, Each: true, Needs: []string{probeStatement}, Judge: judgeMark,
			Title: "the database holds the mark that your last verification left in it",
		},
		{
			ID: onePrimary, Level: LevelDatabase, In: topology.Replicated, Needs: []string{casAttested}, Judge: judgePrimary,
			Title: "exactly one database is written to",
		},
		{
			ID: "rep-04", Level: LevelDatabase, Each: true, In: topology.Replicated, Needs: []string{probeStatement}, Judge: judgePlaces,
			Title: "it has the history of the primary, as far as that was when it was asked, and no other",
		},
		{
			ID: frontStatement, Level: LevelDatabase, Several: true, Needs: []string{casAttested}, Judge: judgeFrontStatement,
			Title: "an attested client of the client session looked at MaxScale and HAProxy, for this run",
			Unmet: "no statement of the client that looks at MaxScale and HAProxy that counts",
		},
		{
			// what it found stands in its statement, and counts only with it
			ID: "front-seen", Level: LevelDatabase, Several: true, Needs: []string{frontStatement}, Judge: judgeFront,
			Title: "MaxScale lets in whom it should, and HAProxy passes connections on",
		},
	}
}
