#!/bin/bash
# The stepper over a pipe: every command of its help, what each stop says, bad commands, bad files, lessons. timeout: 240
. "$(dirname "$0")/lib.sh"

# play [ARG...]: commands from standard input; what it said is in $work/out and $out, its exit status in $status.
: >"$work/used"
play() {
	tee -a "$work/used" | timeout -k 5 60 "$TAPGLASS" step "$@" >"$work/out" 2>&1
	status=${PIPESTATUS[1]}
	out=$'\n'$(<"$work/out")$'\n'
}
# says NAME: the lines of standard input stand in it, one behind the other.
says() {
	local want
	want=$(cat)
	if [[ $out == *$'\n'"$want"$'\n'* ]]; then
		ok "$1"
	else
		printf '%s\n' "wanted:" "$want" >"$work/wanted"
		not_ok "$1" "$work/wanted" "$work/out"
	fi
}
# has NAME TEXT...: these texts stand in it, in this order.
has() {
	local name=$1 rest=$out t
	shift
	for t in "$@"; do
		if [[ $rest != *"$t"* ]]; then
			printf '%s\n' "wanted: $t" >"$work/wanted"
			not_ok "$name" "$work/wanted" "$work/out"
			return
		fi
		rest=${rest#*"$t"}
	done
	ok "$name"
}
# refused NAME LINE COMMAND [BEFORE]: behind the commands BEFORE, this one gives this line and exit status 1.
refused() {
	play <<<"${4-}${4:+$'\n'}$3"
	has "$1" $'\n'"$2"$'\n'
	equal "$1: exit status" "$status" 1
}
UP=$'connect\nstep 3\naccept'

# ---- A newcomer

play <<'C'
connect
step
step
step
C
says "the lab begins" <<'T'
A lab in virtual time: client 10.0.0.1 and server 10.0.0.2, which listens on port 80.
Type "connect", then "step" (or s) for one event after the other: what will happen is
said before it does. "back" goes back, "help" lists the commands, "quit" ends.
after event 1 at 0.000000 s: nothing is on its way and no timer runs
  ("connect" opens a connection to the server; "help" lists what else there is)
T
says "connect" <<'T'
event 2, 0.000000 s: c1: client calls connect(10.0.0.2:80)
  moved   c1 at client: CLOSED -> SYN-SENT  (active OPEN, 9293 3.10.1)
  sent    client sends #1  S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1514457286 ecr 0,wscale 9>
  changed c1: iss = 1059810479, snd.nxt = 1, mss.snd = 536, wscale.rcv = 9, cwnd = 5360
  changed c1: ssthresh = none, rto = 1.000 s
  timer   c1: timer.rexmit starts, for 1.000000 s
T
says "before the SYN-ACK: its rules, each once, and what it will do" <<'T'
stopped before event 4 at 0.020000 s: c1: client receives #2  S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 889127203 ecr 1514457286,wscale 9>
  rule    9293-3.10.7.3     SYN-SENT, first: ISS 0 < SEG.ACK 1 =< SND.NXT 1, the ACK is acceptable
  rule    6298-2.2          first round trip R = 20000 us: SRTT = R, RTTVAR = R/2, RTO = 200000 us
  rule    6298-5.2          all is acknowledged up to 1: the timer stops
  rule    9293-3.10.7.3     SYN-SENT, fourth: SYN, and ours is acknowledged: RCV.NXT = SEG.SEQ + 1, -> ESTABLISHED
  will    c1 at client: SYN-SENT -> ESTABLISHED  (SYN and ACK of our SYN, 9293 3.10.7.3)
  will    client sends #3  . 1:1(0) ack 1 win 256 <TS val 1514457306 ecr 889127203>
  will    c1: timer.rexmit stops
  will    the application at client is told: can send
T
says "after it: what it did, field by field" <<'T'
event 4, 0.020000 s: c1: client receives #2  S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 889127203 ecr 1514457286,wscale 9>
  moved   c1 at client: SYN-SENT -> ESTABLISHED  (SYN and ACK of our SYN, 9293 3.10.7.3)
  sent    client sends #3  . 1:1(0) ack 1 win 256 <TS val 1514457306 ecr 889127203>
  changed c1: irs 0 -> 4170350241, snd.una 0 -> 1, snd.wnd 0 -> 65535, rcv.nxt = 1
  changed c1: rcv.wnd 0 -> 131072, mss.snd 536 -> 1448, wscale.snd 0 -> 9
  changed c1: wscale.ok no -> yes, ts.ok no -> yes, ts.recent 0 -> 889127203
  changed c1: sack.ok no -> yes, cwnd 5360 -> 14480, srtt 0.000 us -> 20.000 ms
  changed c1: rto 1.000 s -> 200.000 ms
  timer   c1: timer.rexmit stops
  told    the application at client is told: can send
T
has "both ends are ESTABLISHED" 'c2 at server: SYN-RECEIVED -> ESTABLISHED' \
	$'after event 5 at 0.030000 s: nothing is on its way and no timer runs\n  ("accept", "send c1 hello"'
equal "that is success" "$status" 0
sed -n '/^stopped before event 3/,/^```/p' README.md | grep -v '^```' >"$work/readme"
equal "README shows what it says" "$(wc -l <"$work/readme") $(grep -cvxFf "$work/out" "$work/readme")" "4 0"

# ---- Looking

play <<C
$UP
send c1 hello
print c1.snd.una
print c1.state
p c1.snd.nxt - c1.snd.una
print 64k + 2*3 - 7/2
print -7/-1
print c1.cwnd > 10000 && !(state == LISTEN || 1 == 2)
print now
print seg.len
print tcb c2
print c1
info conns
info timers
info queue
info events
info world
info arp
info drops
info breakpoints
x/frame
x #4
why
list
list 2
list 9293-MUST-13
show space c1
show ladder
show states c1
C
says "print: a sequence number" <<'T'
c1.snd.una = 1  (absolute 1059810480)  oldest number not acknowledged (9293 3.3.1)
c1.state = ESTABLISHED  of the eleven (9293 3.3.2)
c1.snd.nxt - c1.snd.una = 5
64k + 2*3 - 7/2 = 65539
-7/-1 = 7
c1.cwnd > 10000 && !(state == LISTEN || 1 == 2) = 1
now = 30000000
seg.len = 5
c2 at server, 10.0.0.2:80 > 10.0.0.1:56996
T
# fields CONN: the names in its TCB, each with a value and a meaning.
fields() {
	sed -n "/^$1 at [a-z]*, 10/,/ l1 /p" "$work/out" | grep -E '^  [a-z][a-z_.0-9]* +[^ ]+( [a-z/]+)? +[a-zA-Z].*' | awk '{ print $1 }' | sed '/^l1$/q'
}
fields c1 | sed '$d' >"$work/fields"
equal "print tcb: all fields, each with its meaning" "$(grep -cxE 'state|iss|irs|snd\.(una|nxt|wnd)|rcv\.(nxt|wnd)|cwnd|ssthresh|srtt|rto|timer\.rexmit' "$work/fields")" 13
check "and they are many" test "$(wc -l <"$work/fields")" -gt 70
matches "print tcb: under the RFCs' names" "$work/out" '^  rcv\.nxt +1 +[a-z]'
says "info conns" <<'T'
* c1   client   10.0.0.1:56996        10.0.0.2:80           ESTABLISHED   unsent 0, unacked 5, unread 0, cwnd 14480
  c2   server   10.0.0.2:80           10.0.0.1:56996        ESTABLISHED   unsent 0, unacked 0, unread 0, cwnd 14480
  c1   timer.pto        at 0.230000 s, in 200.000 ms   tail loss probe (8985 7.2)
  #4    to server   due 0.040000 s   P. 1:6(5) ack 1 win 256 <TS val 1514457316 ecr 889127203>
     1  0.000000 s   server calls listen(0.0.0.0:80)
T
says "info world, arp, drops, breakpoints" <<'T'
  lab, after event 7 of 7 on line "main", at 0.030000 s, 1 frame on the way
  no neighbours (this link has no addresses; "step --lab --ethernet" has)
  nothing was dropped
  no breakpoints
IPv4 (791 3.1)
     0  45                           version, IHL     4, 20 bytes
     1  00                           DSCP, ECN        0, 0
     2  00 39                        total length     57
T
says "x/frame: TCP" <<'T'
TCP (9293 3.1)
    20  de a4                        source port      56996
    22  00 50                        destination port 80
    24  3f 2b 6c b0                  SEG.SEQ          1059810480
    28  f8 92 7e a2                  SEG.ACK          4170350242
    32  80                           data offset      32 bytes
    33  18                           control bits     P.
T
says "x/frame: the text" <<'T'
text, 5 bytes
    52  68 65 6c 6c 6f                                  hello
T
equal "x with a number is the same" "$(grep -c '    52  68 65 6c 6c 6f' "$work/out")" 2
has "why: the last decisions and what is waited for" 'event 7: c1: client calls send(5 bytes)' \
	'  c1 is in ESTABLISHED: all is sent, 5 bytes wait for their ACK'
has "list: the rules, and the C of the first" $'\n>  1 7323-P1 (MUST): PAWS' $'\nstack/tcp/' $'\n>' 'RULE(' \
	$'\n>  2 9293-3.10.7.4-1' $'\nstack/tcp/' $'\n>' 'RULE('
has "list CLAUSE: what it asks, and the code with its tag" $'\n9293-MUST-13 (MUST): ' $'\nstack/tcp/' '[9293 MUST-13'
says "show space" <<'T'
c1 at client, ESTABLISHED
  sending    |=...........................................................|
    snd.una 1, snd.nxt 6, window to 65536, cwnd to 14481
T
says "show ladder" <<'T'
              client                                                      server
  0.000000 s  | server calls listen(0.0.0.0:80)                                |  l1 CLOSED -> LISTEN
  0.000000 s  | c1: client calls connect(10.0.0.2:80)                          |  c1 CLOSED -> SYN-SENT
  0.010000 s  |-- S 0:0(0) win 65535 <mss 1460,sackOK,wscale 9> -------------->|  c2 LISTEN -> SYN-RECEIVED
  0.020000 s  |<------- S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,wscale 9> --|  c1 SYN-SENT -> ESTABLISHED
  0.030000 s  |-- . 1:1(0) ack 1 win 256 ------------------------------------->|  c2 SYN-RECEIVED -> ESTABLISHED
  0.030000 s  | l1: server calls accept()                                      |
  0.030000 s  | c1: client calls send(5 bytes)                                 |
T
says "show states: where it was, where it is, and the picture stays straight" <<'T'
             +----------+          +------------+
             |  LISTEN  |          | *SYN-SENT* |
             +----------+          +------------+
T
says "and where it is" <<'T'
                      +-----------------+
                      |  >ESTABLISHED<  |
                      +-----------------+
T
says "and by which moves" <<'T'
c1 at client: >now<, *was there*
  event 2     CLOSED -> SYN-SENT: active OPEN (9293 3.10.1)
  event 4     SYN-SENT -> ESTABLISHED: SYN and ACK of our SYN (9293 3.10.7.3)
T
equal "all of that is success" "$status" 0

# ---- Going on

play <<'C'
break state established
break segment F.
tbreak connection
break call
break event 9 if end == 0
connect
continue
c
c
delete 1
c
delete 2 3 4 5
s
n
send c1 3000
next
info b
until 0.2s
advance 300ms
info world
close c1
close c2
accept
finish c1
back
C
says "break: they are numbered" <<'T'
breakpoint 1: state established
breakpoint 2: segment F.
breakpoint 3: connection
breakpoint 4: call
breakpoint 5: event 9 if end == 0
T
has "each stops" $'\nbreakpoint 1: state established\nstopped before event 4 ' $'\nbreakpoint 1: state established\nstopped before event 5 '
has "next stops where that end is next" 'client calls send(3000 bytes)' 'stopped before event 7 at 0.040000 s: c2: server receives #4' \
	'stopped before event 8 at 0.040000 s: c2: server receives #5'
has "until and advance stop there" 'at 0.200000 s: ' 'lab, after event ' ' at 0.500000 s, 0 frames on the way'
refused "closing what is not accepted is refused" 'the application at server has not accepted c2 yet: "accept"' 'close c2' \
	$'connect\nstep 3'

play <<C
$UP
break drop
break timer delack
break retransmit
break conn c2
break if now > 35ms
tbreak segment *
info breakpoints
disable
send c1 hello
continue
enable 1 2 3
disable 4 5 6
run
condition 2 c1.unacked > 10
condition 4 end == 1
info breakpoints
run
delete
run
C
says "info breakpoints" <<'T'
  1   break on       drop   0 hits
  2   break on       timer delack   0 hits
  3   break on       retransmit   0 hits
  4   break on       conn c2   0 hits
  5   break on       if now > 35ms   0 hits
  6   once  on       segment *   0 hits
T
has "disabled ones do not stop, enabled ones do; a condition holds them back" $'\nafter event 10 at 0.090000 s' \
	$'\nbreakpoint 2: timer delack\nstopped before event 9 at 0.080000 s: c2: server\'s delayed ACK timer expires' \
	'  2   break on       timer delack if c1.unacked > 10   1 hit' '  4   break off      conn c2 if end == 1' \
	$'\nafter event 10 at 0.090000 s' $'\nafter event 10 at 0.090000 s'

play <<C
$UP
break retransmit
send c1 3000
drop 4
drop 5
continue
continue
C
has "break retransmit stops before what sends again, and says why" 'by hand: drop 4' \
	$'\nbreakpoint 1: retransmit\nstopped before event 12 at 0.090000 s: c1: client receives #7' \
	'rule    8985-9            2896 bytes are taken for lost' 'rule    6298-5.4          1448 bytes from 1 go again' \
	'will    client sends #8  . 1:1449(1448)' $'\nbreakpoint 1: retransmit\nstopped before event 14 '

play <<C
break event 2
connect
run
tbreak drop tcp_closed
connect 81
continue
info drops
break drop if reason == tcp_closed
C
has "run stops before the very first events too" $'\nbreakpoint 1: event 2\nstopped before event 2 '
has "break drop REASON; info drops" $'\nbreakpoint 2: drop tcp_closed' '  rule    9293 3.10.7.1     dropped: '

play <<C
watch c1.state
connect
watch c1.rto
condition 2 state == ESTABLISHED
continue
continue
back 3
continue
rc
reverse-continue
reverse-continue
info breakpoints
C
refused "a watch needs its connection" 'there is no connection for "c1.state": "info conns" lists them' 'watch c1.state'
play <<C
connect
watch c1.state
watch c1.rto
condition 2 c1.rto == 5s
continue
back
continue
rc
C
has "watch: the old value and the new; it goes back in time" $'\nwatch 1: c1.state\n' \
	$'\nwatch 1: c1.state SYN-SENT -> ESTABLISHED\nstopped before event 5' $'\nstopped before event 4' \
	$'\nwatch 1: c1.state SYN-SENT -> ESTABLISHED\nstopped before event 5' \
	$'\nwatch 1: c1.state is SYN-SENT now\nstopped before event 3'
lacks "a watch whose condition does not hold is silent" "$work/out" '^watch 2: c1.rto .*->'

# ---- Frames

play <<C
$UP
send c1 5000
swap
info queue
dup 4
corrupt 7 40
delay 6 30ms
deliver 4
drop
info queue
info drops
step
info drops
C
has "swap, dup, corrupt, delay, deliver, drop" \
	$'by hand: swap 4 5\nstopped before event 9 at 0.040000 s: c2: server receives #5  . 1449:2897(1448)' \
	'by hand: dup 4' 'by hand: corrupt 7 at 40' 'by hand: delay 6 0.030000 s' \
	'c2: server receives #4  . 1:1449(1448)' 'by hand: drop 5'
says "the queue afterwards: the damaged copy, and what was delayed" <<'T'
  #7    to server   due 0.040000 s   . 1:1449(1448) ack 1 win 256 <malformed>
  #6    to server   due 0.070000 s   . 2897:4345(1448) ack 1 win 256 <TS val 1514457316 ecr 889127203>
T

# ---- Calls

play <<C
listen server 8080
connect 8080
step 3
accept l2
connect server 10.0.0.1:9
step 2
info conns
set c1 nodelay
set c1 nodelay off
set c1 sndbuf 8192
set c1 linger 0
send c2 "with blanks"
step
recv c1 4
recv c1
recv c1
shutdown c2
step
recv c1
abort c1
step
info conns
C
has "calls and what they give" 'server calls listen(0.0.0.0:8080)' 'client calls connect(10.0.0.2:8080)' 'server calls accept()' \
	'setopt(TCP_NODELAY, 1)' 'setopt(TCP_NODELAY, 0)' 'setopt(SO_SNDBUF, 8192)' 'setopt(SO_LINGER, 0)' \
	'server calls send(11 bytes)' '  got     4 bytes: "with"' '  got     7 bytes: " blanks"' \
	'  result  Resource temporarily unavailable' 'FIN-WAIT-1' 'client calls abort()' '(gone)'
equal "what the application was told is no mistake of the user's" "$status" 0

# ---- Going back

play <<C
$UP
send c1 hello
continue
back
back 2
reverse-step
goto 3
fork one
step
drop
info world
branches
switch one
info world
goto 0
run
rc
C
has "back, reverse-step, goto" $'\nstopped before event 10' $'\nstopped before event 8' $'\nstopped before event 7' $'\nstopped before event 4'
has "fork, branches, switch" 'what lies ahead is kept as one; from here on you do otherwise' \
	'lab, after event 5 of 5 on line "main", at 0.020000 s, 0 frames on the way' \
	$'\n  main                  (here) events 1 to 5\n  one                   leaves after event 4, goes to 10\n' \
	'lab, after event 10 of 10 on line "one"' $'\nstopped before event 1 ' $'\nafter event 10 ' $'\nthe beginning\nstopped before event 1 '
equal "the same way gives the same stop" "$(grep -c '^after event 10 at 0.090000 s' "$work/out")" 3

play <<<$'connect\nstep 3\ngoto 3\nshow states c1'
says "what lies ahead is not lit in the picture" <<'T'
c1 at client: >now<, *was there*
  event 2     CLOSED -> SYN-SENT: active OPEN (9293 3.10.1)
T
lacks "nor told" "$work/out" '^  event [3-9] '

# ---- Scripts of commands

cat >"$work/good.step" <<'C'
# A lesson of one's own.
connect
step 3
expect state c1 ESTABLISHED
expect c1.cwnd == 10 * c1.mss.snd
C
play -x "$work/good.step" <<<''
equal "-x FILE: what is expected holds" "$status" 0
printf 'connect\nexpect state c1 CLOSED\nexpect c1.cwnd < 5\nexpect state c1 ESTABLSHED\nprint 7\n' >"$work/bad.step"
play -x "$work/bad.step" <<<''
has "expect: what does not" $'\nexpected: c1 is in CLOSED, but it is in SYN-SENT\nexpected: c1.cwnd < 5\n"ESTABLSHED" is no state' $'\n7 = 7\n'
equal "is exit status 1" "$status" 1
play --batch -x "$work/bad.step" <<<''
lacks "--batch ends with the first" "$work/out" 'c1.cwnd < 5|7 = 7'
equal "with exit status 1" "$status" 1
cat "$work/good.step" "$work/bad.step" >>"$work/used"
play -x "$work" <<<''
has "-x with a directory" 'Is a directory'
play -x "$work/none" <<<''
has "-x with no file" 'No such file or directory'

# ---- save

# saved NAME COMMANDS: from both ends the script that was saved runs.
saved() {
	local name=$1 end
	play <<<"$2"$'\nsave '"$work/client.pkt client"$'\nsave '"$work/server.pkt server"
	equal "save: $name" "$status" 0
	for end in client server; do
		check "save: $name, as the $end saw it" "$TAPGLASS" drill "$work/$end.pkt"
		rm -f "$work/$end.pkt"
	done
}
saved "loss" "$UP"$'\nsend c1 5000\ndrop 5\ncontinue\nrecv c2\nclose c1\nstep 2\nclose c2\ncontinue'
saved "reordering" "$UP"$'\nsend c1 10000\nswap 5 6\ndup 7\ndelay 4 30ms\ncontinue\nrecv c2'
saved "half-close" "$UP"$'\nshutdown c1\ncontinue\nsend c2 3000\ncontinue\nrecv c1 100\nrecv c1\nclose c2\ncontinue\nadvance 61s'
saved "abort" "$UP"$'\nsend c1 hello\ncontinue\nabort c2\ncontinue\nrecv c1'
saved "options, damage" "$UP"$'\nset c1 nodelay\nset c1 quickack off\nset c1 rcvbuf 20000\nset c2 sndbuf 10000\nset c2 linger 0\nsend c2 50000\ncorrupt 40\ncontinue\nrecv c1\ncontinue\nclose c2\ncontinue'
saved "refusal" $'connect 81\ncontinue'
echo kept >"$work/kept"
chmod 400 "$work/kept"
play --ethernet <<<"save $work/kept"
has "save: not where ARP is waited for" 'in a packet script nothing waits for ARP'
equal "and the file is as it was" "$(cat "$work/kept")" kept
play <<<"save /dev/full"
has "save: a full disk is said" '/dev/full: not written: No space left on device'
equal "and removes nothing" "$(stat -c %F /dev/full)" "character special file"

# ---- What cannot be

refused "an unknown command" 'there is no command "dorp"; with that letter begin: delete, disable, deliver, drop, dup, delay ("help" lists all)' dorp
refused "one with a letter of none" 'there is no command "zap" ("help" lists all)' zap
refused "x/10 is gdb's" '"x/10" is for memory; here frames are looked at: x/frame' x/10
refused "steps that are no number" '"many" is no number' 'step many'
refused "no frame" 'no frame is on its way' drop
refused "x without a frame" 'no frame is on its way' x
refused "a frame that is not there" 'frame #9 is not on its way: "info queue" lists those that are' 'drop 9' connect
refused "a frame without a number" '"it" is no frame'"'"'s number: "info queue" lists them' 'deliver it' connect
refused "swap needs two" 'no other frame follows it to the same end: swapping takes two' swap connect
refused "corrupt where nothing is" 'which octet? corrupt [FRAME] 40 inverts the 41st; "x/frame" numbers them' corrupt connect
refused "delay by nothing" 'by how long? delay [FRAME] 50ms' 'delay 4 soon' connect
refused "until the past" 'that time has passed: "back" and "goto" go back' 'until 5ms' $'connect\nstep 2'
refused "until never" 'until when? a time since the beginning: until 1.5s' until
refused "advance by nothing" 'for how long? a time: advance 200ms' 'advance far'
refused "the end of the clock" 'the clock goes no further than two hundred years' 'advance 6400000000s'
refused "back at the beginning" 'this is the beginning: nothing has happened before it' back back
refused "goto beyond" 'there are 1 events so far' 'goto 7'
refused "fork without a name" 'under which name is what lies ahead to be kept? fork NAME' fork
refused "switch to nothing" 'to which? "branches" lists them' switch
refused "no such connection" 'there is no connection "c9": "info conns" lists them' 'send c9 x' connect
refused "no connection yet" 'there is no connection yet: "connect" opens one' 'send hello'
refused "send nothing" 'send what? a text, or a number of bytes: send c1 hello, send c1 5000' 'send c1' "$UP"
refused "recv no number" '"all" is no number of bytes, 1 to 65536' 'recv c1 all' "$UP"
refused "connect to nothing" '"port" is no [ADDRESS:]PORT' 'connect port'
refused "listen nowhere" 'on which port? listen server 8080' listen
refused "accept from nobody" 'there is no listener "l7": "info conns" lists them' 'accept l7'
refused "an unknown option" 'which option? nodelay, cork, quickack, keepalive, sndbuf, rcvbuf, linger' 'set c1 speed 9' "$UP"
refused "an option's bad value" '"x" is neither on, off nor a number' 'set c1 cork x' "$UP"
refused "a direction" 'which direction? wr, rd or rdwr' 'shutdown c1 left' "$UP"
refused "break nowhere" 'break at what? state S, segment FLAGS, retransmit, drop [REASON], timer [NAME], connection, conn C, call, event N, if EXPR' break
refused "break at what is not" 'break at "noon"? what there is: state S, segment FLAGS, retransmit, drop [REASON], timer [NAME], connection, conn C, call, event N, if EXPR' 'break noon'
refused "no state" 'which state? SYN-SENT, SYN-RECEIVED, ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK, TIME-WAIT, CLOSED' 'break state OPEN'
refused "no flags" '"Q" are no flags: letters of FSRP.UEW as in packet scripts, or *' 'break segment Q'
refused "no reason" 'there is no drop reason "fun": such as tcp_paws, tcp_old, tcp_csum' 'break drop fun'
refused "no timer" 'there is no timer "tea": rexmit, persist, delack, keepalive, state, user, pto, reo' 'break timer tea'
refused "more than was asked for" 'what is "now" to mean there? conditions begin with "if"' 'break call now'
refused "no breakpoint" 'there is no breakpoint 4: "info breakpoints" lists them' 'delete 4'
refused "a variable that is none" 'there is no variable "speed": "print tcb" shows all' 'print c1.speed' connect
refused "a name that is none" '"speed" means nothing here: c1.cwnd, snd.una, now, event, reason, seg.len, a state, a drop reason, a number' 'print speed'
refused "an expression that ends" 'something is missing at ""' 'print 1 +'
refused "an expression that goes on" 'what is "= 2" to mean there?' 'print 1 = 2'
refused "brackets" 'a ")" is missing' 'print (1'
refused "too many of them" 'too many brackets' "print $(printf '(%.0s' {1..500})"
refused "zero" 'a division by zero' 'print 1/0'
refused "a number too large" 'the number is too large' 'print 99999999999999999999'
refused "a unit" 'units are ns, us, ms, s, k, M' 'print 5days'
refused "what is not now" 'seg.len: that does not exist at present' 'print seg.len'
refused "no clause" 'there is no clause "9999-1": such as 9293-MUST-13, 9293-3.10.7.4-5, 5961-2, 6298-2.3 (stack/CONFORMANCE.md has all)' 'list 9999-1'
refused "no picture" 'show what? ladder, states, space' 'show tree'
refused "no such list" 'info about what? conns, timers, queue, arp, breakpoints, events, drops, world' 'info all'
refused "save nowhere" 'to which file? save FILE [END]' save
refused "save as nobody" 'as which end saw it? client or server' "save $work/x.pkt peer"
refused "expect nothing" 'expect what? state CONN STATE, or an expression' expect
refused "a long line" 'that line is too long: up to 4095 bytes' "print $(head -c 70000 /dev/zero | tr '\0' 1)"
refused "a long condition" 'an expression to stop at may have 159 letters' "watch $(printf '1+%.0s' {1..100})1"
refused "control characters are not echoed" 'a command has no control characters in it' $'print \e[31m'
printf 'print 1\0\n' >"$work/nul"
play -x "$work/nul" <<<''
has "nor is a NUL the end of a line" 'a command has no control characters in it'

# ---- Worlds

play --ethernet <<<$'connect\nstep 6\ninfo arp'
has "--ethernet: ARP is seen" 'arp who has 10.0.0.2, tell 10.0.0.1' 'arp 10.0.0.2 is here, says it to 10.0.0.1'
matches "info arp" "$work/out" '^  client   10\.0\.0\.2 +[0-9a-f:]{17}  REACHABLE$'
play --latency 100ms <<<$'connect\nstep'
has "--latency" 'stopped before event 3 at 0.100000 s' 'stopped before event 4 at 0.200000 s'
play --goto 4 handshake </dev/null
has "--goto" 'stopped before event 5 at '
play --goto 99 handshake </dev/null
has "--goto beyond the end" $'\nthere are 10 events so far\nafter event 10 at 0.200000 s: passed\n'
equal "is exit status 1" "$status" 1
: >"$work/empty"
printf '0.0 nonsense\e[2J(3) = 0\n' >"$work/bad.pkt"
mkfifo "$work/fifo"
play "$work/empty" </dev/null
has "an empty file" "$work/empty: line 1, column 1: the script is empty"
play "$work/bad.pkt" </dev/null
has "a damaged script" "$work/bad.pkt: line 1, column "
lacks "whose control characters are not echoed" "$work/out" $'\e'
play "$work" </dev/null
has "a directory" "$work: Is a directory"
play "$work/fifo" </dev/null
has "a pipe" 'is no file that can be gone back in: copy it to one'
play "$work/nothing" </dev/null
has "nothing of that name" 'nothing: No such file or directory ("step --lessons" lists the lessons)'
equal "is exit status 1" "$status" 1
printf '// \e]0;title\a of a lesson\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n' >"$work/hostile.pkt"
play "$work/hostile.pkt" <<<step
has "comments are told without control characters" '  | ?]0;title? of a lesson'
printf 'connect\nstep 3\naccept\nset c1 keepalive on\nbreak event 999999999\ncontinue\n' >"$work/ever"
LIMIT_S=100 check "what goes on for ever is stopped" "$TAPGLASS" step -x "$work/ever"
matches "and said" "$work/check.out" '^100,000 events have passed; "continue" goes on$'

# ---- Lessons

play --lessons </dev/null
equal "twelve lessons" "$(grep -cE '^ +[0-9]+  [a-z-]+ +.*\(.*[0-9]' "$work/out")" 12
for f in tests/drill/lessons/*.pkt; do
	name=$(basename "$f" .pkt)
	play "$name" <<<$'continue\ninfo world\ngoto 0\ninfo world\ncontinue'
	equal "lesson $name: to its end, back to its start, and again" \
		"$status $(grep -c '^after event .*: passed$' "$work/out") $(grep -c 'after event 0 of ' "$work/out")" "0 2 1"
	equal "lesson $name: its comments are told" "$(grep -c '^  | Lesson ' "$work/out")" 2
	play "$name" <<<$'step 500'
	equal "lesson $name: step by step" "$(grep -c '^after event .*: passed$' "$work/out")" 1
done
play handshake <<<$'step\nsave '"$work/half.pkt"$'\nlisten stack 9\nconnect 5'
check "save: the part of a script that has been" "$TAPGLASS" drill "$work/half.pkt"

# ---- A recorded run

j=$work/run.tgj
start_stack -q --record "$j"
fetch "a run is recorded" 100000
stop_stack
# again COMMANDS: replay --step.
again() {
	timeout -k 5 100 "$TAPGLASS" replay --step "${@:2}" "$j" >"$work/out" 2>&1 <<<"$1"
	status=$?
	out=$'\n'$(<"$work/out")$'\n'
}
again $'break state ESTABLISHED\ncontinue\nstep\nshow states\nback\nlist\ndelete\ncontinue\ninfo events\nshow ladder\nrc'
has "replay --step" 'breakpoint 1: state ESTABLISHED' 'c1: stack receives #' 'SYN-RECEIVED -> ESTABLISHED  (ACK of our SYN' \
	'>ESTABLISHED<' $'\nafter event ' $'\nthe beginning\nstopped before event 1 '
equal "is success" "$status" 0
matches "frames that the stack sent are in the ladder" "$work/out" '\|-- S\. 0:0\(0\) ack 1 '
again $'send c1 x'
equal "nothing can be done otherwise there" "$status" 1
again '' --until 20
has "--until says where to begin" 'stopped before event 21 '
head -c $(($(stat -c %s "$j") / 2)) "$j" >"$work/half"
j=$work/half
again $'continue\nback'
has "half a record: everything up to the damage" 'ends within a record' 'stopped before event '
j=$work/empty
again ''
equal "an empty record" "$status" 1

# ---- All of them

play <<<$'help\nhelp step\nhelp nothing\nquit\nprint 5'
has "help COMMAND; quit" $'\nstep [N]\n    let the next event happen (step 5: five of them); an empty line does it again\n'
lacks "quit ends it" "$work/out" '^5 = 5'
sed -n '/^  step /,/^  quit /p' "$work/out" | awk '{ print $1 }' | sort >"$work/commands"
equal "there are commands" "$(wc -l <"$work/commands")" 46
awk '{ print $1 }' "$work/used" | sort -u >"$work/words"
equal "every command of help has been used here" "$(comm -23 "$work/commands" "$work/words" | xargs)" ""
finish
