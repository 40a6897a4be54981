/**
 * What the page at {@code /} shows: twice a second each part of the sample says how it is doing, and all of it goes to the browser as
 * one event. The only package in which the sample asks the proxy library anything, namely the report of its actuator endpoint.
 */
@NullMarked
package io.egressproxy.sample.page;

import org.jspecify.annotations.NullMarked;
