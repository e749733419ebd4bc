# Reads `ctest -V` of cmocka programs: "12: [       OK ] name" is a line of test 12. Prints ok|fail|skip<TAB>program: case.
# With complain=1 it prints instead all that the failed programs said.
function line_of(text) { sub(/^[0-9]+: /, "", text); return text }
function case_of(text) { sub(/^.*\[[ A-Z]+\] /, "", text); return text }

/^ *Start +[0-9]+: / { name[$2 + 0] = $3; order[++tests] = $2 + 0 }
/^[0-9]+: / {
	id = $1 + 0
	if (!/\[       OK \]/) # what went well is not repeated
		said[id] = said[id] line_of($0) "\n"
	if (match($0, /Running [0-9]+ test\(s\)/))
		announced[id] += substr($0, RSTART + 8) + 0
	else if (/\[ RUN      \]/)
		running[id] = running[id] SUBSEP case_of($0)
	else if (/\[       OK \]/)
		good[id, case_of($0)] = 1
	else if (/\[  SKIPPED \] [^:]*$/ && !/test\(s\)/)
		left[id, case_of($0)] = 1
}
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
	match($0, /#[0-9]+/)
	id = substr($0, RSTART + 1) + 0
	passed[id] = / Passed /
	how[id] = $0
	sub(/^.*\*\*\*/, "", how[id])
}
END {
	for (i = 1; i <= tests; i++) {
		id = order[i]
		cases = split(substr(running[id], 2), list, SUBSEP)
		bad = 0
		if (!running[id])
			cases = 0
		for (c = 1; c <= cases; c++) {
			if (good[id, list[c]]) kind = "ok"
			else if (left[id, list[c]]) kind = "skip"
			else { kind = "fail"; bad++ }
			if (!complain) printf "%s\t%s: %s\n", kind, name[id], list[c]
		}
		for (; cases < announced[id]; cases++) {
			bad++
			if (!complain) printf "fail\t%s: a case it announced was not run\n", name[id]
		}
		if (!bad && (!passed[id] || !cases)) {
			bad++
			if (!complain) printf "fail\t%s: %s\n", name[id], passed[id] ? "ran no case" : how[id]
		}
		if (bad && complain)
			printf "--- %s\n%s", name[id], said[id]
	}
}
