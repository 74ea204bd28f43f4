set(without_ports broker_talk_fuzz) # brokerbed.h
