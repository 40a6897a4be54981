/**
 * Real proxy programs, a real target and scripted faults, all on the loopback interface, for the tests of Egress
 * Proxy. Nothing here is simulated where a program of the Debian archive can be run instead, because the quirks of
 * those programs are what the tests are about.
 */
@NullMarked
package io.egressproxy.testkit;

import org.jspecify.annotations.NullMarked;
