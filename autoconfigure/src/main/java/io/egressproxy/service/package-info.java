/**
 * The client of an external proxy service: what is sent to it and what comes back, its endpoints, and the answers that are
 * kept. Knows nothing of how connections are made, and never uses the proxies that it is asked about.
 */
@NullMarked
package io.egressproxy.service;

import org.jspecify.annotations.NullMarked;
