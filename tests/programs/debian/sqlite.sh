# packages: sqlite3 coreutils
# memory: 384
sqlite3 rows.db <<'END'
PRAGMA mmap_size = 268435456;
PRAGMA journal_mode = WAL;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind INTEGER, price REAL);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
	INSERT INTO item SELECT i, 'item ' || i, i * 7919 % 1000, i * 0.25 FROM n;
COMMIT;
CREATE INDEX by_kind ON item (kind);
CREATE INDEX by_name ON item (name, price);
SELECT count(*), sum(kind), max(price) FROM item WHERE kind BETWEEN 100 AND 200;
SELECT name FROM item WHERE name > 'item 777' ORDER BY name LIMIT 3;
PRAGMA integrity_check;
END
sqlite3 rows.db <<'END'
PRAGMA mmap_size = 268435456;
BEGIN;
UPDATE item SET price = price + 1 WHERE kind % 3 = 0;
DELETE FROM item WHERE kind % 5 = 0;
ROLLBACK;
SELECT count(*), round(sum(price), 2) FROM item;
DELETE FROM item WHERE kind % 5 = 0;
VACUUM;
SELECT kind, count(*) FROM item GROUP BY kind HAVING kind < 10;
PRAGMA integrity_check;
PRAGMA journal_mode = DELETE;
END
sqlite3 rows.db .dump | sha256sum
echo "SELECT nothing FROM nowhere;" | sqlite3 rows.db
echo "status $?"
