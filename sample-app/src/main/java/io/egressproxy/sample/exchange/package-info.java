/**
 * A small exchange in the same JVM, which answers as two exchanges told apart by the Host header. It says in every
 * answer who it saw, so that nobody has to believe the client.
 */
@NullMarked
package io.egressproxy.sample.exchange;

import org.jspecify.annotations.NullMarked;
