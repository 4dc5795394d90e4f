# A PROXY header in tells of an IPv6 client on an IPv4 connection, and the other way round: what does the header out say?
import socket,subprocess,tempfile,time
D=tempfile.mkdtemp(); C=D+"/conf"; P,Q=8071,8072
open(C,"w").write(f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid {D}/pid; error_log stderr warn; events {{}}
stream {{ server {{ listen 127.0.0.1:{P} proxy_protocol; listen [::1]:{P} proxy_protocol; proxy_pass 127.0.0.1:{Q};
    proxy_protocol on; set_real_ip_from 0.0.0.0/0; set_real_ip_from ::/0; }} }}
""")
l=socket.create_server(("127.0.0.1",Q)); p=subprocess.Popen(["nginx","-e","stderr","-c",C]); time.sleep(1)
for host,line in ("127.0.0.1","PROXY TCP4 192.0.2.77 203.0.113.9 1025 443"),("127.0.0.1","PROXY TCP6 2001:db8::77 2001:db8::9 1025 443"),("::1","PROXY TCP4 192.0.2.77 203.0.113.9 1025 443"):
    c=socket.create_connection((host,P)); c.sendall(line.encode()+b"\r\n"); s,_=l.accept(); s.settimeout(3)
    print("at",host,"in:",line,"; out:",s.recv(200)); c.close(); s.close()
p.terminate(); p.wait()
