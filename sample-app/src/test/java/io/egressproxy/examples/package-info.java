/** The examples of {@code docs/clients.md}, word for word, and a test that runs each of them through the sample's proxies. */
@NullMarked
package io.egressproxy.examples;

import org.jspecify.annotations.NullMarked;
