package policy

// Example is a document with all keys, each explained, in which nothing is weak.
// Its measurements are nobody's, so it accepts nothing as it is.
func Example() string { return example }

const example = `# What you accept. Reference values must reach you from whoever builds the images,
# never from the cluster that you check. What is not named here is not accepted.
kind: confidb.policy/v1

# The enclave that the CAS must be. mrenclave is what runs: one value or a list, of
# which one must match. signer is who signed it. If both are given, both must match.
cas:
  mrenclave:
    - 1111111111111111111111111111111111111111111111111111111111111111
  signer:
    mrsigner: 2222222222222222222222222222222222222222222222222222222222222222
    isvprodid: 41316
    min-isvsvn: 5 # older security versions are refused

# The enclaves that sessions admit. SCONE_HASH=1 prints a measurement where an image
# is built; it depends on SCONE_HEAP and SCONE_ALLOW_DLOPEN, so both stand beside it:
# a chart with other settings is refused.
enclaves:
  mariadbd: # the database
    mrenclave: [3333333333333333333333333333333333333333333333333333333333333333]
    heap: 1G
    dlopen: "0"
  mariadb: # its command line client
    mrenclave: [4444444444444444444444444444444444444444444444444444444444444444]
    heap: 1G
    dlopen: "0"
  probe: # what asks the database what it is
    mrenclave: [5555555555555555555555555555555555555555555555555555555555555555]
    heap: 1G
    dlopen: "0"

# States of a platform that you can live with beside UpToDate, and advisories of
# Intel, each by name. What is accepted here makes a proof a warning.
accept-tcb: [SWHardeningNeeded]
accept-advisories: [INTEL-SA-00615]

# true accepts enclaves whose memory the host can read. For experiments only.
allow-debug-enclave: false

# What else of a release you can live with, each by name; it makes a proof a warning.
# unprotected-volume: a database whose files others can write runs whatever SQL they
# plant, with every right.
accept-deviations: []

# For how long at most a client may be let in that runs in no enclave (client add
# --outside-enclave}): 0h for none, which fails verify; 24h is the most. verify warns of
# each. Leave it out for no bound of your own.
max-outside-enclave: 0h

# Intel numbers its evaluations of platforms; an older one knows fewer weaknesses.
min-tcb-evaluation-number: 17

# How well the platform IDs of nodes must be known: quoted (proven by a quote of each
# node) or declared (named by you). Leave it out to take the cluster's word.
require-provenance: declared

# How long after its next update was due Intel's collateral is still used (at most
# 2160h), and how long ago it may have been issued (leave it out for no bound).
collateral-grace: 0h
max-collateral-age: 168h
`
