/* The verbs of the program: each is a main of its own, argv[0] being the verb. */
#ifndef TAPGLASS_APPS_VERBS_H
#define TAPGLASS_APPS_VERBS_H

#include "options.h"

int up_main(int argc, char **argv);
int ping_main(int argc, char **argv);
int curl_main(int argc, char **argv);
int nc_main(int argc, char **argv);
int iperf3_main(int argc, char **argv);
int drill_main(int argc, char **argv);
int sim_main(int argc, char **argv);
int ss_main(int argc, char **argv);
int arp_main(int argc, char **argv);
int route_main(int argc, char **argv);
int stat_main(int argc, char **argv);
int cap_main(int argc, char **argv);
int wait_main(int argc, char **argv);
int sh_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int setup_main(int argc, char **argv);
int trace_main(int argc, char **argv);
int replay_main(int argc, char **argv);
int step_main(int argc, char **argv);

/* Their command lines: what getopt, --help and completion are made of. */
extern const struct verb_spec up_spec, ping_spec, curl_spec, nc_spec, iperf3_spec, ss_spec,
	arp_spec, route_spec, stat_spec, cap_spec, sh_spec, wait_spec, doctor_spec, setup_spec,
	drill_spec, sim_spec, trace_spec, replay_spec, step_spec;

#endif
