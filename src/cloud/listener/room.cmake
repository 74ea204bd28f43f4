set(without_ports http2_fuzz http_conn_fuzz http_conn_test) # fuzzbed.h
