/** Tests of the sample: what it shows must be true. */
@NullMarked
package io.egressproxy.sample.proxyservice;

import org.jspecify.annotations.NullMarked;
