# SPDX-License-Identifier: MIT
# pyarrow reads what is exported, with Meta's schema and the very entropies of the shards.
. "$CLI_TESTS/lib.sh"
export PYTHONPATH=$REPOSITORY/.deps/pyarrow
python3 -c 'import pyarrow' 2> /dev/null || skip "no pyarrow: scripts/setup fetches it"
cat > check.py <<'TXT'
import json, os, struct, pyarrow as pa
file = pa.ipc.open_file(pa.memory_map("out.arrow"))
required = lambda name, type: pa.field(name, type, nullable=False)
schema = pa.schema([required("sample_id", pa.string()), required("text", pa.string()), required("entropies", pa.list_(pa.float16()))])
print("schema", file.schema.equals(schema))
print("batches", [file.get_batch(i).num_rows for i in range(file.num_record_batches)])
table = file.read_all()
table.validate(full=True)
print("stream", pa.ipc.open_stream(pa.memory_map("out.arrow").read()[8:]).read_all().equals(table))
rows = [json.loads(line) for line in open("documents.jsonl", encoding="utf-8")]
for row in rows:  # as float32, of which cat writes the shortest form
    row["entropies"] = list(struct.unpack(f"{len(row['entropies'])}f", struct.pack(f"{len(row['entropies'])}f", *row["entropies"])))
for column, key in (("sample_id", "id"), ("text", "text"), ("entropies", "entropies")):
    values = table[column]
    print(column, values.null_count, values.to_pylist() == [row[key] for row in rows])
print("complete", os.path.getsize("out.arrow.complete"))
TXT
seq 100000 102200 > numbers.txt
corpus
blt-patch numbers.txt corpus.jsonl --split-lines -m "$REPOSITORY/tests/data/models/hf" --patch-size 3 --keep-entropies -o shards -q > /dev/null
blt-patch cat --entropies shards > documents.jsonl
blt-patch export shards --to arrow -o out.arrow -q
python3 check.py
told blt-patch recut shards --scheme space --drop-entropies -o without -q > /dev/null
unchanged blt-patch export shards --to arrow -o out.arrow
unchanged blt-patch export without --to arrow -o new.arrow
printf 'good\nb\377d\n' > invalid.txt
blt-patch invalid.txt --split-lines -m "$REPOSITORY/tests/data/models/hf" --threshold 1 --keep-entropies -o invalid -q > /dev/null
unchanged blt-patch export invalid --to arrow -o new.arrow
told blt-patch export invalid --to arrow --on-error skip -q -o new.arrow
