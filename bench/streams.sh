# bench/streams.sh - the parts of bench/run about connections: TCP, TLS, WSS. docs/bench.md says what they do and why.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # what bench/run has, and reads
readonly STREAMS=$BUILD/bench/bench-streams FLOOR=$BUILD/bench/bench-floor
CONNECTIONS=${CONNECTIONS:-10000}       # of the `connections` part
VANISHES=${VANISHES:-10}                # how often they come and go
REST_KIB=384                            # above the start when all are gone, however many there were: the ends of the heaps of threads
STALLED=${STALLED:-1000}                # peers that do not read
KINDS=${KINDS:-tcp tls wss}             # over which these parts run

# certificate - a key and what it signs for itself, as the SBC and the floors use them.
certificate() {
	[[ -s $DIR/key.pem ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$DIR/key.pem" \
		-out "$DIR/cert.pem" -days 30 -subj /CN=example.com -addext subjectAltName=DNS:example.com,IP:127.0.0.1 2>/dev/null ||
		{ say "bench/run: no certificate (openssl)"; exit 2; }
}

# start_sbc_streams NAME WORKERS KIND [COMMAND...] - an SBC that listens for KIND (and UDP) at PORT.
start_sbc_streams() {
	local name=$1 workers=$2 kind=$3 path='' tls='' CONF="$DIR/$1.yaml.in"
	shift 3
	[[ $kind != ws* ]] || path=/sip
	case $kind in
	tls | wss)
		certificate
		tls="tls: [{ name: example.com, cert: \"$DIR/cert.pem\", key: \"$DIR/key.pem\" }]"
		;;
	esac
	sed "s|@KIND@|$kind|; s|@PATH@|$path|; s|@TLS@|$tls|" bench/streams.yaml.in >"$CONF"
	start_sbc "$name" "$workers" "$@"
}

# start_clients NAME KIND [OPTION...] - for the target of that name at PORT; `ask` and `answered` talk to them.
start_clients() {
	local CLIENT=$STREAMS name=$1 kind=$2
	shift 2
	start_registrants "$name" -t "127.0.0.1:$PORT" -k "$kind" -P /sip -N example.com "$@"
}

metric() { "$CTL" -s "$DIR/$1/ctl.sock" metrics | awk -v name="$2" '$1 ~ "^" name "([{]|$)" { n += $NF } END { printf "%.0f\n", n }'; }

# all_gone NAME - until the SBC holds no connection.
all_gone() {
	local try
	for ((try = 0; try < 300; try++)); do
		[[ $(metric "$1" sbc_tcp_connections) == 0 ]] && return
		sleep 0.1
	done
	void "$1: $(metric "$1" sbc_tcp_connections) connections are left"
}

# own_bytes PID - PSS of what no file backs: pages of libraries are shared with whoever comes and goes meanwhile.
own_bytes() { awk '/^Pss_Anon:/ { printf "%.0f\n", $2 * 1024 }' "/proc/$1/smaps_rollup"; }

kernel_bytes() { awk '/^Slab:/ { printf "%.0f\n", $2 * 1024 }' /proc/meminfo; }

# idle KIND LIMIT - CONNECTIONS come up, are idle, and vanish at once, VANISHES times.
idle() {
	local kind=$1 limit=$2 start up first=0 round name=idle-$1 kernel how after
	start_load
	start_sbc_streams "$name" 1 "$kind"
	start_clients "$name" "$kind" -n "$CONNECTIONS" -o # who says nothing is ended after half a minute: a busy machine takes longer
	ask "$name" open 500 1000 60; answered "$name" # what the first ones cost and later ones do not
	ask "$name" vanish reset; answered "$name"
	all_gone "$name"
	sleep 1
	start=$(own_bytes "$PID")
	for ((round = 1; round <= VANISHES; round++)); do
		kernel=$(kernel_bytes)
		ask "$name" open "$CONNECTIONS" 2500 300; answered "$name"
		sleep 2
		up=$(own_bytes "$PID")
		kernel=$((($(kernel_bytes) - kernel) / CONNECTIONS / 2))
		how=reset
		((round % 2)) || how=fin
		ask "$name" vanish "$how"; answered "$name"
		all_gone "$name"
		sleep 1
		after=$(own_bytes "$PID")
		say "connections: $kind, round $round: $(((up - start) / CONNECTIONS)) bytes each, kernel $kernel; $(((after - start) / 1024)) KiB above the start"
		((round > 1)) || first=$after
		((round > 1)) || judged "bytes per idle connection over $kind, $CONNECTIONS of them" "$limit" $(((up - start) / CONNECTIONS))
		((round > 1)) || row '  of the kernel (either end)' "$kernel" '' '' ''
	done
	judged "  gone $VANISHES times: KiB above the start" "$REST_KIB" $(((after - start) / 1024))
	row '  of that since they were gone first' $(((after - first) / 1024)) '' KiB ''
	stop_registrants "$name"
	stop "$PID"
	stop_load
}

part_connections() {
	local TARGET_CPU='' LOAD_CPU='' kind
	local -A limits=([tcp]=1024 [tls]=16384 [wss]=17408)
	for kind in $KINDS; do idle "$kind" "${limits[$kind]}"; done
}

# listens PORT PID - until a TCP socket does.
listens() {
	local hex try
	hex=$(printf ':%04X 00000000:0000 0A' "$1")
	for ((try = 0; try < 600; try++)); do
		grep -q "$hex" /proc/net/tcp && return 0
		[[ -d /proc/$2 ]] || break
		sleep 0.05
	done
	say "bench: nothing listens on port $1: $(tail -n 3 "$DIR"/*.err 2>/dev/null)"
	exit 1
}

counted_now() { cat "$DIR"/callgrind.[0-9]* | awk '/^totals:/ { n += $2 } END { printf "%.0f\n", n }'; }

under_callgrind() { "$@" valgrind --tool=callgrind --callgrind-out-file="$DIR/callgrind.%p"; }

# connections_cost NAME FEW MANY START_COMMAND... - instructions per connection, in COUNTED.
connections_cost() {
	local name=$1 few=$2 many=$3 n was=0
	shift 3
	for n in "$few" "$many"; do
		rm -f "$DIR"/callgrind.[0-9]*
		N=$n "$@"
		start_clients "$name" tls
		ask "$name" open "$n" 20 300; answered "$name"
		ask "$name" vanish fin; answered "$name"
		sleep 2
		stop_registrants "$name"
		stop "$PID"
		COUNTED=$(counted_now)
		((n == many)) || was=$COUNTED
	done
	COUNTED=$(((COUNTED - was) / (many - few)))
}

# floor_start WHAT... - the bare loop under callgrind, at PORT; sets PID.
floor_start() {
	PORT=$(free_ports 1)
	valgrind --tool=callgrind --callgrind-out-file="$DIR/callgrind.%p" "$FLOOR" "127.0.0.1:$PORT" "$DIR/cert.pem" "$DIR/key.pem" "$@" \
		>/dev/null 2>"$DIR/floor.err" &
	PID=$!
	PIDS+=("$PID")
	listens "$PORT" "$PID"
}

sbc_for_connections() { under_callgrind start_sbc_streams connections 1 tls; }
floor_for_connections() { floor_start accept "$N"; }

# loop_cost IN OUT - instructions of SSL_read and SSL_write of a call's messages, in COUNTED.
loop_cost() {
	local n was=0
	for n in 200 1200; do
		rm -f "$DIR"/callgrind.[0-9]*
		floor_start calls "$n" "$1" "$2"
		"$FLOOR" "127.0.0.1:$PORT" - - drive "$n" "$1" "$2" || void "the loop of reads and writes failed"
		wait "$PID"
		COUNTED=$(counted_now)
		((n == 1200)) || was=$COUNTED
	done
	COUNTED=$(((COUNTED - was) / 1000))
}

part_tls() {
	local TARGET_CPU='' LOAD_CPU='' bare udp in out
	certificate
	start_load
	connections_cost bare 20 120 floor_for_connections
	bare=$COUNTED
	connections_cost connections 20 120 sbc_for_connections
	stop_load
	row 'user-space instructions per TLS connection, bare loop' "$bare" '' '' ''
	row 'user-space instructions per TLS connection, sbc' "$COUNTED" '' '' ''
	judged '  sbc / bare loop' 1.10 "$(awk -v a="$COUNTED" -v b="$bare" 'BEGIN { printf "%.3f", a / b }')"
	instructions 'a caller on UDP' start_sbc_streams call-udp 1 tls
	udp=$COUNTED
	CALL_OPTIONS='-T tls -p 4' instructions 'a caller on TLS' start_sbc_streams call-tls 1 tls
	in=$(($(field stream_sent_bytes) / 1200)) out=$(($(field stream_received_bytes) / 1200))
	bare=$COUNTED
	loop_cost "$in" "$out"
	row 'user-space instructions per call, caller on UDP' "$udp" '' '' ''
	row "  of reading $in and writing $out bytes by OpenSSL" "$COUNTED" '' '' ''
	row 'user-space instructions per call, caller on TLS' "$bare" '' '' ''
	judged '  caller on TLS / (on UDP + OpenSSL)' 1.15 "$(awk -v a="$bare" -v b=$((udp + COUNTED)) 'BEGIN { printf "%.3f", a / b }')"
}

# stalled KIND - 100 calls/s over UDP, alone and beside STALLED peers over KIND that ask on and on, and read nothing.
stalled() {
	local kind=$1 name=stalled-$1 alone beside
	start_load
	start_sbc_streams "$name" 1 "$kind"
	start_clients "$name" "$kind" -n "$STALLED"
	sleep 1
	calls "$name, alone" "$PORT" -n 2000 -c 100 -p 4
	alone=$(field ring_ms_p99)
	ask "$name" stall "$STALLED" 500 5 30
	sleep 4
	calls "$name, beside" "$PORT" -n 2000 -c 100 -p 4
	beside=$(field ring_ms_p99)
	answered "$name"
	say "stalled: $LINE"
	say "stalled: of its peers $(metric "$name" sbc_tcp_closed_slow_reader_total) were ended, $(metric "$name" sbc_tcp_queue_full_total) messages refused"
	"$CTL" -s "$DIR/$name/ctl.sock" metrics | grep '^sbc_loop_turn' >&2
	judged "$STALLED peers over $kind do not read: longest turn of the loop, us of CPU" 5000 "$(metric "$name" sbc_loop_turn_cpu_max_us)"
	row '  calls beside them: INVITE to 180, 99 % within' "$beside" '' ms ''
	row '  the same without them' "$alone" '' ms ''
	(($(metric "$name" sbc_tcp_closed_slow_reader_total) > 0)) || void "$name: nobody was kept from writing"
	stop_registrants "$name"
	stop "$PID"
	stop_load
}

part_stalled() {
	local TARGET_CPU='' LOAD_CPU='' kind
	for kind in $KINDS; do stalled "$kind"; done
}
