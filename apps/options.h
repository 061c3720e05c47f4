/* The options that all verbs with a link share, and the parsing of any verb's command line: one
 * table gives getopt's arrays and the help. */
#ifndef TAPGLASS_APPS_OPTIONS_H
#define TAPGLASS_APPS_OPTIONS_H

#include "tapglass_host.h"
#include "util.h"

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

enum link_kind { LINK_AUTO, LINK_TAP, LINK_PRIVATE, LINK_VETH, LINK_SIM };

#define OPTIONS_SYSCTLS 16

struct options {
	const char *name; /* of the instance, for its control socket */
	bool own_link;    /* something was said about the link: so it is not a running instance's */
	int relay_port;   /* first one tried on 127.0.0.1; 0: no relay */
	bool relay_asked; /* that one and no other */
	enum link_kind link;
	char tap[16];
	bool has_net, has_addr;
	uint32_t net, addr; /* host order */
	unsigned prefix_len;
	const char *pcap;
	const char *record; /* journal of the stack's instance */
	bool has_seed;
	uint64_t seed;
	uint32_t mtu; /* 0: the link's own */
	bool plain;
	bool big_tcp;
	unsigned cc; /* enum tg_cc */
	bool pacing;
	const char *sysctl[OPTIONS_SYSCTLS]; /* NAME=VALUE */
	unsigned n_sysctls;
	struct tg_impair in, out;
	unsigned verbose;
	bool quiet;
	enum color color;
	int ready_fd; /* -1: none */
	uint64_t busy_ns;
	unsigned queues; /* of the TAP, an instance each; 0 or 1: one */
	bool learned;    /* the kernel finds flows' queues without our help */
};

/* One option of a verb. */
struct option_spec {
	const char *name; /* long name, or NULL */
	char letter;      /* short name, or 0 */
	int value;        /* given to set; below 256 for the verbs' own */
	const char *arg;  /* what it takes, for the help; NULL: nothing, "[=US]": optional */
	const char *help;
};

/* A verb's command line. */
struct verb_spec {
	const char *usage;                 /* "up [OPTION]..." */
	const char *about;                 /* a paragraph */
	const char *example;               /* lines */
	const struct option_spec *options; /* its own, ended by help == NULL; NULL: none */
	bool link_options;                 /* takes the common ones */
	bool name_option;                  /* takes --name, as those with link options do */
	int min_args, max_args;
	const char *args_name; /* "ADDR", for messages */
	/* An option of its own: 0, or after a message EXIT_USAGE. */
	int (*set)(void *ctx, int value, const char *arg);
};

/* What options_parse returns instead of an exit status. */
#define OPTIONS_GO (-1)

void options_default(struct options *o);
/* Applies NAME=VALUE. False: not understood. */
bool options_sysctl(struct tg_config *c, const char *arg);
/* Parses argv[1..]; *first: index of the first argument that is no option. OPTIONS_GO, or the exit
 * status: after a message EXIT_USAGE, after --help EXIT_OK. */
int options_parse(
	int argc, char **argv, const struct verb_spec *v, struct options *o, void *ctx, int *first);

/* Calls fn for each option of the verb but the impairments: its own, then those it shares with
 * others and gives no meaning of its own. */
void options_each(
	const struct verb_spec *v, void (*fn)(void *ctx, const struct option_spec *s), void *ctx);
/* The i-th option that impairs a link; its name is put into name. False: there are no more. */
bool options_impairment(unsigned i, struct option_spec *out, char name[16]);

#endif
