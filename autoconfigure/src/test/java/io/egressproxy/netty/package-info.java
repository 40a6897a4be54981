/** Tests of the mechanism against real proxies, real targets and scripted faults. Each test closes what it opens. */
@NullMarked
package io.egressproxy.netty;

import org.jspecify.annotations.NullMarked;
