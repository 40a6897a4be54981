package io.egressproxy.sample;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

/** The sample; its profiles are described in {@code application.yml}. */
@SpringBootApplication(proxyBeanMethods = false)
@ConfigurationPropertiesScan
public class SampleApplication {

    /**
     * Starts the sample.
     *
     * @param args as for every Spring Boot application
     */
    public static void main(String[] args) {
        SpringApplication.run(SampleApplication.class, args);
    }
}
