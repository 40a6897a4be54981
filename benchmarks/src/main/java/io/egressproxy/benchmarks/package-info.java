/** JMH benchmarks: each measures ours, the peers and the lower bound in one run, since only ratios within a run mean anything. */
package io.egressproxy.benchmarks;
