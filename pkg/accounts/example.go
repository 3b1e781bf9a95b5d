package accounts

// Example is a document with all keys, each explained.
func Example() string { return example }

const example = `# Which databases your applications have, and what each of them may do there. Nobody
# can log in with a password alone: each account belongs to one client (the verb client add),
# whose enclave gets the certificate for it.
kind: confidb.accounts/v1

# Made where they are not there yet, and never dropped. The characters of new tables are
# these at each start: without any, utf8mb4 with utf8mb4_general_ci.
databases:
  - name: shop
    character-set: utf8mb4
    collation: utf8mb4_unicode_ci
    # Only in a release of the architecture sharded: the number of the MariaDB that has it.
    # It stays there.
    # shard: 1

accounts:
  - name: tokenizer
    client: tokenizer
    limits: # all may be left out; so is the server's default
      max-user-connections: 20
      max-queries-per-hour: 100000
      max-updates-per-hour: 100000
      max-connections-per-hour: 5000
      max-statement-time: 30 # seconds
    # In MariaDB's words. There are no rights on the whole server, no GRANT OPTION and
    # no wildcards. A table, column or routine need not be there yet: the right holds from
    # when it is made, and stays when it is dropped. Nothing else gives or takes a right:
    # who makes a routine (CREATE ROUTINE) may call it only with EXECUTE.
    privileges:
      - database: shop # all of its tables, also those that are made later
        grant: [SELECT, INSERT, CREATE]
      - database: shop
        table: cards
        grant: [DELETE]
      - database: shop
        table: cards
        columns: [last_used]
        grant: [UPDATE]
      - database: shop
        procedure: clean_up
        grant: [EXECUTE]
`
