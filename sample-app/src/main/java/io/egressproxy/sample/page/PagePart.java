package io.egressproxy.sample.page;

/** A part of the sample that the page shows. */
public interface PagePart {

    /**
     * What it is called in the event.
     *
     * @return a name that no other part has
     */
    String name();

    /**
     * How it is doing.
     *
     * @return what Jackson turns into JSON; without secrets
     */
    Object view();
}
