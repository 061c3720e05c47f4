/* tapglass: one program, verbs as git has them. Without a verb it is `up`. */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complete.h"
#include "util.h"
#include "verbs.h"

static int help_main(int argc, char **argv);
static int version_main(int argc, char **argv);

static const struct verb verbs[] = {
	{"up", up_main, &up_spec,
		"bring up the stack with its services; Ctrl-C ends it (also without a verb)"},
	{"ping", ping_main, &ping_spec,
		"ping an address from the running stack, or one of its own"},
	{"curl", curl_main, &curl_spec, "the same with an HTTP request"},
	{"nc", nc_main, &nc_spec, "the same with a TCP connection or UDP datagrams, to or from it"},
	{"iperf3", iperf3_main, &iperf3_spec,
		"measure throughput with iperf3, as its server or client"},
	{"ss", ss_main, &ss_spec, "print the running stack's sockets"},
	{"arp", arp_main, &arp_spec, "print its neighbours"},
	{"route", route_main, &route_spec, "print its routes"},
	{"stat", stat_main, &stat_spec, "print its counters and why it dropped what it dropped"},
	{"cap", cap_main, &cap_spec, "capture its packets, to a file or for Wireshark to read"},
	{"sh", sh_main, &sh_spec, "run a shell or a command where the kernel is the stack's peer"},
	{"wait", wait_main, &wait_spec, "wait until the stack is up"},
	{"doctor", doctor_main, &doctor_spec,
		"try which links work here, and say why others do not"},
	{"setup", setup_main, &setup_spec,
		"make a TAP that needs no root afterwards (--undo removes it)"},
	{"drill", drill_main, &drill_spec, "run packet scripts against the stack in virtual time"},
	{"sim", sim_main, &sim_spec, "run networks of hosts, routers and links in virtual time"},
	{"trace", trace_main, &trace_spec,
		"print an event log (up --log FILE) as text, a table, a ladder or for Perfetto"},
	{"replay", replay_main, &replay_spec,
		"make a run recorded by up --record again, bit for bit"},
	{"step", step_main, &step_spec,
		"step through TCP: stop before every event, see the rule, go back"},
	{"help", help_main, NULL, "this text, or that of a verb"},
	{"version", version_main, NULL, "print the version"},
};
#define VERBS (sizeof verbs / sizeof verbs[0])

static int version_main(int argc, char **argv)
{
	if (argc > 1) {
		return usage_error("version: unexpected argument \"%s\"", argv[1]);
	}
	puts("tapglass " TAPGLASS_VERSION);
	return EXIT_OK;
}

static int run_verb(int argc, char **argv)
{
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(argv[0], verbs[i].name) == 0) {
			return verbs[i].run(argc, argv);
		}
	}
	return usage_error("there is no verb \"%s\" (tapglass --help lists them)", argv[0]);
}

static int help_main(int argc, char **argv)
{
	char option[] = "--help";
	char *args[] = {NULL, option, NULL};

	if (argc > 2) {
		return usage_error("help: unexpected argument \"%s\"", argv[2]);
	}
	if (argc == 2 && strcmp(argv[1], "help") != 0 && strcmp(argv[1], "version") != 0) {
		args[0] = argv[1];
		return run_verb(2, args);
	}
	puts("usage: tapglass [VERB] [OPTION]... [ARGUMENT]...\n\n"
	     "A TCP/IP stack in one process.\n\nverbs:");
	for (size_t i = 0; i < VERBS; i++) {
		printf("  %-9s  %s\n", verbs[i].name, verbs[i].about);
	}
	puts("\nEach verb has --help. Exit status: 0 success, 1 failure, 2 usage, 3 environment, 4 "
	     "check failed.\n\n"
	     "example:\n  tapglass up             then: open http://127.0.0.1:8080/ in a browser\n"
	     "  sudo tapglass up        then: ping 192.0.2.2, curl http://192.0.2.2/");
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	char up[] = "up";

	if (argc < 2) {
		char *args[] = {up, NULL};

		return up_main(1, args);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		return help_main(argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		return version_main(argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "--complete") == 0) {
		complete_print(verbs, VERBS, argc - 2, argv + 2);
		return EXIT_OK;
	}
	if (argv[1][0] == '-') { /* options of up; the name's place takes the verb */
		argv[0] = up;
		return up_main(argc, argv);
	}
	return run_verb(argc - 1, argv + 1);
}
