#!/usr/bin/env python3
"""step_live.py PROGRAM PLACE: the stepper on a terminal of its own: libedit's editing, completion, history, an empty line, Ctrl-C.

PLACE is a directory for HOME. TAP lines; exit status 1 if something is wrong."""
import os
import pty
import re
import select
import signal
import sys
import time

LIMIT_S = 15
cases = failures = 0


class Terminal:
    def __init__(self, argv, home):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # libedit never frees the name and the help of a function that it is given (EL_ADDFN).
            os.environ.update(HOME=home, TERM="vt100", COLUMNS="200", ASAN_OPTIONS="detect_leaks=0")
            os.execv(argv[0], argv)

    def read(self, until, limit_s=LIMIT_S):
        """What comes up to this pattern; "" if it does not come."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            m = re.search(until, self.seen, re.S)
            if m:
                got, self.seen = self.seen[:m.end()], self.seen[m.end():]
                return got
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    break
        return ""

    def write(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Its exit status, within LIMIT_S; None: it was still there."""
        stop = time.monotonic() + LIMIT_S
        while time.monotonic() < stop:
            self.read("\0", 0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


def check(name, good, seen=""):
    global cases, failures
    cases += 1
    failures += not good
    print("%s %d - %s" % ("ok" if good else "not ok", cases, name))
    if not good:
        for line in seen[-2000:].splitlines():
            print("# " + repr(line))


def editing(program, home):
    t = Terminal([program, "step"], home)
    check("a prompt", t.read(r"\(tg\) "), t.seen)
    t.write("conn\t\n")
    check("completion of a command", t.read(r"event 2, .*client calls connect"), t.seen)
    t.read(r"\(tg\) ")
    t.write("step\n")
    check("step", t.read("stopped before event 4 "), t.seen)
    t.read(r"\(tg\) ")
    t.write("\n")
    check("an empty line does it again", t.read("stopped before event 5 "), t.seen)
    t.read(r"\(tg\) ")
    t.write("print c1.snd.un\t\n")
    check("completion of a variable", t.read(r"c1\.snd\.una = 1 "), t.seen)
    t.read(r"\(tg\) ")
    t.write("print 40+1\n")
    t.read(r"40\+1 = 41")
    t.read(r"\(tg\) ")
    t.write("\x1b[A\x7f2\n")
    check("the line before, changed", t.read(r"40\+2 = 42"), t.seen)
    t.read(r"\(tg\) ")
    t.write("frobnicate\n")
    check("a mistake is told", t.read("there is no command"), t.seen)
    t.read(r"\(tg\) ")
    t.write("\x04")
    check("Ctrl-D ends it, and what was refused to a human is no failure", t.end() == 0)
    t = Terminal([program, "step"], home)
    t.read(r"\(tg\) ")
    t.write("\x1b[A\x1b[A\n")
    check("the history of the last session", t.read(r"40\+2 = 42"), t.seen)
    t.read(r"\(tg\) ")
    t.write("quit\n")
    check("quit", t.end() == 0)
    mode = os.stat(os.path.join(home, ".tapglass_step_history")).st_mode & 0o777
    check("the history is its owner's", mode & 0o077 == 0, oct(mode))


def interrupt(program, home):
    t = Terminal([program, "step"], home)
    t.read(r"\(tg\) ")
    for line in ("connect", "step 3", "accept", "set c1 keepalive on", "break event 900000000"):
        t.write(line + "\n")
        t.read(r"\(tg\) ")
    t.write("continue\n")
    time.sleep(0.3)
    t.write("\x03")
    check("Ctrl-C stops what goes on for ever", t.read("interrupted\r?\nstopped before event "), t.seen)
    t.read(r"\(tg\) ")
    t.write("print 6*7\n")
    check("and the session goes on", t.read(r"6\*7 = 42"), t.seen)
    t.read(r"\(tg\) ")
    t.write("quit\n")
    check("to its end", t.end() == 0)


editing(sys.argv[1], sys.argv[2])
interrupt(sys.argv[1], sys.argv[2])
sys.exit(failures > 0)
